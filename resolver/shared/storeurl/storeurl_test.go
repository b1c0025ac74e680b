package storeurl

import (
	"errors"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"redis://valkey.example":                       "redis://valkey.example:6379",
		"redis://valkey.example/":                      "redis://valkey.example:6379",
		"redis://valkey.example:6380/3":                "redis://valkey.example:6380/3",
		"redis://:secret@192.0.2.1":                    "redis://192.0.2.1:6379",
		"redis://mta:secret@[2001:db8::1]":             "redis://mta@[2001:db8::1]:6379",
		"redis://mta:s%2Fe%40c%23r%3Fet@[2001:db8::1]": "redis://mta@[2001:db8::1]:6379",
		"rediss://mta@valkey.example":                  "rediss://mta@valkey.example:6379",
		"redis+sentinel://a.example?master=mail":       "redis+sentinel://a.example:26379?master=mail",
		"rediss+sentinel://u:secret@a.example:1/2?master=mail&addr=b.example&addr=[::1]:7"://
		"rediss+sentinel://u@a.example:1/2?addr=b.example%3A26379&addr=%5B%3A%3A1%5D%3A7&master=mail",
		"redis+cluster://a.example":                              "redis+cluster://a.example:6379",
		"rediss+cluster://a.example:1/0?addr=b:2&addr=c.example": "rediss+cluster://a.example:1?addr=b%3A2&addr=c.example%3A6379",
	} {
		s, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := s.String(); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", text, got, want)
		}
		if again, err := Parse(s.String()); err != nil || again.String() != want {
			t.Errorf("%s cannot be read again: %v", s, err)
		}
	}
	s, err := Parse("redis://mta:s%2Fe%40c%23r%3Fet@valkey.example")
	if err != nil || s.User != "mta" || s.Password != "s/e@c#r?et" {
		t.Errorf("%+v, %v", s.Password, err)
	}
}

func TestParseBad(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]error{
		"":                                          errScheme,
		"valkey.example:6379":                       errScheme,
		"secret":                                    errScheme,
		"http://valkey.example":                     errScheme,
		"unix:///run/valkey.sock":                   errScheme,
		"redis:secret":                              errURL,
		"redis://":                                  errAddress,
		"redis://:secret@":                          errAddress,
		"redis://:secret@:6379":                     errAddress,
		"redis://a.example:0":                       errAddress,
		"redis://a.example:65536":                   errAddress,
		"redis://a.example#secret":                  errURL,
		"redis://u:sec#ret@a":                       errURL,
		"redis://u:sec/ret@a":                       errURL,
		"redis://u:sec%ret@a":                       errURL,
		"redis://secret@a b":                        errURL,
		"redis://a,secret:6379,b:1":                 errAddress,
		"redis://a/secret":                          errDatabase,
		"redis://a/-1":                              errDatabase,
		"redis://a/65536":                           errDatabase,
		"redis+cluster://a/1":                       errDatabase,
		"redis://a?addr=secret":                     errParam,
		"redis://a?db=secret":                       errParam,
		"redis+cluster://a?secret":                  errParam,
		"redis+cluster://a?master=a":                errParam,
		"redis+cluster://a?addr=%zz":                errParam,
		"redis+cluster://a?addr=":                   errAddress,
		"redis+cluster://a?addr=b:x":                errAddress,
		"redis+cluster://a?addr=b/c":                errAddress,
		"redis+sentinel://a":                        errMaster,
		"redis+sentinel://a?master=":                errMaster,
		"redis+sentinel://a?master=secret&master=b": errParam,
		"redis+sentinel://a?Master=secret":          errParam,
	} {
		s, err := Parse(text)
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, %v, want %v", text, s, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error repeats the secret: %v", text, err)
		}
	}
}
