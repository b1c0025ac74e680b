package config

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"mta-sts-daemon/resolver/shared"
)

// duration is a length of time from least to most.
func duration(least, most time.Duration) kind[time.Duration] {
	return kind[time.Duration]{
		values: inUnits(least) + " to " + inUnits(most),
		format: inUnits,
		parse: func(text string) (time.Duration, error) {
			d, err := time.ParseDuration(text)
			switch {
			case err == nil:
				return d, nil
			case tooLong.MatchString(text):
				return 0, fmt.Errorf("%s is not between %s and %s", quote(text), inUnits(least), inUnits(most))
			default:
				return 0, notDuration(text)
			}
		},
		valid: func(d time.Duration) error {
			if d < least || d > most {
				return fmt.Errorf("%s is not between %s and %s", inUnits(d), inUnits(least), inUnits(most))
			}
			return nil
		},
	}
}

// tooLong is a duration that time.ParseDuration refuses only because it does not fit.
var tooLong = regexp.MustCompile(`^[-+]?([0-9]+(\.[0-9]*)?(ns|us|\x{b5}s|ms|s|m|h))+$`)

// notDuration returns the error for text that is no duration, with what to write instead
// if that is clear.
func notDuration(text string) error {
	const day = 24 * time.Hour
	for suffix, unit := range map[string]time.Duration{"d": day, "w": 7 * day} {
		number, ok := strings.CutSuffix(text, suffix)
		if n, err := strconv.ParseUint(number, 10, 16); ok && err == nil {
			return fmt.Errorf("%s has a unit that is not known here; write %s", quote(text), inUnits(time.Duration(n)*unit))
		}
	}
	if _, err := strconv.ParseUint(text, 10, 32); err == nil {
		return fmt.Errorf("%s has no unit; write %ss, %sm or %sh", quote(text), text, text, text)
	}
	return fmt.Errorf("%s is not a duration such as 5s or 500ms", quote(text))
}

// inUnits writes d as an operator would: 336h, not 336h0m0s.
func inUnits(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// count is a whole number from least to most.
func count(least, most int) kind[int] {
	outside := func(n string) error {
		return fmt.Errorf("%s is not between %d and %d", n, least, most)
	}
	return kind[int]{
		values: fmt.Sprintf("%d to %d", least, most),
		parse: func(text string) (int, error) {
			n, err := strconv.Atoi(text)
			switch {
			case errors.Is(err, strconv.ErrRange):
				return 0, outside(quote(text))
			case err != nil:
				return 0, fmt.Errorf("%s is not a whole number such as %d", quote(text), most)
			}
			return n, nil
		},
		valid: func(n int) error {
			if n < least || n > most {
				return outside(strconv.Itoa(n))
			}
			return nil
		},
	}
}

// wordOf is one of words.
func wordOf[T comparable](words []word[T]) kind[T] {
	texts := make([]string, len(words))
	for i, w := range words {
		texts[i] = w.text
	}
	unknown := func(text string) error {
		return fmt.Errorf("%s is not one of %s", quote(text), strings.Join(texts, ", "))
	}
	return kind[T]{
		values: alternatives(texts),
		parse: func(text string) (v T, err error) {
			for _, w := range words {
				if w.text == text {
					return w.value, nil
				}
			}
			return v, unknown(text)
		},
		valid: func(v T) error {
			for _, w := range words {
				if w.value == v {
					return nil
				}
			}
			return unknown(fmt.Sprint(v))
		},
		format: func(v T) string {
			for _, w := range words {
				if w.value == v {
					return w.text
				}
			}
			return fmt.Sprint(v)
		},
	}
}

// alternatives reads "a, b or c".
func alternatives(texts []string) string {
	last := len(texts) - 1
	return strings.Join(texts[:last], ", ") + " or " + texts[last]
}

var boolean = wordOf([]word[bool]{{"true", true}, {"false", false}})

// socketMode is the mode of a unix socket. Only permissions make sense, and
// without the owner's own two the daemon could not be asked.
var socketMode = kind[fs.FileMode]{
	values: `"0600" to "0777"`,
	format: func(m fs.FileMode) string { return fmt.Sprintf("%04o", uint32(m)) },
	parse: func(text string) (fs.FileMode, error) {
		bits, err := strconv.ParseUint(text, 8, 32)
		if err != nil || len(text) < 3 {
			return 0, fmt.Errorf(`%s is not a file mode such as "0660"`, quote(text))
		}
		return fs.FileMode(bits), nil
	},
	valid: func(m fs.FileMode) error {
		if m&^fs.ModePerm != 0 || m&0o600 != 0o600 {
			return fmt.Errorf("%#o is not between 0600 and 0777", uint32(m))
		}
		return nil
	},
}

// group is the name or number of a group. Whether it exists is found out where
// it is used, which may be another host.
var group = kind[string]{
	values: "a group's name or number",
	parse:  asIs,
	valid: func(name string) error {
		const maxLen = 32 // Linux
		if len(name) > maxLen || !all(name, isKeyByte) || name[0] == '-' {
			return fmt.Errorf("%s is not the name of a group", quote(name))
		}
		return nil
	},
}

// mapName is the NAME of a socketmap request.
var mapName = kind[string]{
	values: "MAP",
	parse:  asIs,
	valid: func(name string) error {
		const maxLen = 64 // far above any in use
		if name == "" || len(name) > maxLen || !all(name, isGraphic) {
			return fmt.Errorf("%s is not a map name", quote(name))
		}
		return nil
	},
}

// path is an absolute path of at most maxLen octets.
func path(maxLen int) kind[string] {
	return kind[string]{
		values: "/path",
		parse:  asIs,
		valid: func(path string) error {
			switch {
			case !filepath.IsAbs(path) || strings.ContainsRune(path, 0):
				return fmt.Errorf("%s is not an absolute path", quote(path))
			case len(path) > maxLen:
				return fmt.Errorf("%s is longer than %d bytes", quote(path), maxLen)
			}
			return nil
		},
	}
}

// collectorSocket is the path of a unix socket, absolute or relative to Postfix's queue
// directory.
var collectorSocket = kind[string]{
	values: "/path or path",
	parse:  asIs,
	valid: func(path string) error {
		switch {
		case strings.HasPrefix(path, unixPrefix):
			return fmt.Errorf("%s is not a path; write it without %s", quote(path), unixPrefix)
		case strings.ContainsRune(path, 0):
			return fmt.Errorf("%s is not a path", quote(path))
		case len(path) > maxSocketPath:
			return fmt.Errorf("%s is longer than %d bytes", quote(path), maxSocketPath)
		}
		return nil
	},
}

// cacheFile is a path or a word.
var cacheFile = kind[string]{
	values: "/path or " + MemoryOnly,
	parse:  asIs,
	valid: func(file string) error {
		if file != MemoryOnly && !filepath.IsAbs(file) {
			return fmt.Errorf("%s is neither an absolute path nor %s", quote(file), MemoryOnly)
		}
		return nil
	},
}

// sharedURL is where a shared store is. Its errors repeat nothing of it.
var sharedURL = kind[string]{
	values: "a URL",
	parse:  asIs,
	valid: func(url string) error {
		_, err := shared.ParseURL(url)
		return err
	},
}

// prefix begins names on servers, where some characters stand for others in
// patterns.
var prefix = kind[string]{
	values: "a word",
	parse:  asIs,
	valid: func(word string) error {
		const maxLen = 64
		if word == "" || len(word) > maxLen || !all(word, isKeyByte) {
			return fmt.Errorf("%s is not a word of letters, digits, dots, _ and -", quote(word))
		}
		return nil
	},
}

// asIs parses what its kind checks when it is valid.
func asIs(text string) (string, error) { return text, nil }

// all reports whether every octet of s is of a class.
func all(s string, class func(byte) bool) bool {
	for i := range len(s) {
		if !class(s[i]) {
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || isDigit(c)
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isGraphic(c byte) bool { return c > ' ' && c < 0x7f }
