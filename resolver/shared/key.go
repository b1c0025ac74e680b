package shared

import (
	"bytes"
	"fmt"
)

// minKeyLen is the least that a key has, in octets: as much as SHA-256 gives.
const minKeyLen = 32

// ParseKey reads what a key file holds: a key of 32 octets or more, such as
// "openssl rand -hex 32" prints. White space around it is no part of it.
func ParseKey(text []byte) ([]byte, error) {
	key := bytes.TrimSpace(text)
	if len(key) < minKeyLen {
		return nil, fmt.Errorf("the key has %d octets, fewer than %d: make one with \"openssl rand -hex 32\"", len(key), minKeyLen)
	}
	return key, nil
}
