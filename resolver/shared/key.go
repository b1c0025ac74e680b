package shared

import (
	"bytes"
	"fmt"
)

// minKeyLen is the least length of a key in bytes, that of a SHA-256 sum.
const minKeyLen = 32

// ParseKey reads the contents of a key file: a key of 32 bytes or more, such as
// "openssl rand -hex 32" prints. White space around it is ignored.
func ParseKey(text []byte) ([]byte, error) {
	key := bytes.TrimSpace(text)
	if len(key) < minKeyLen {
		return nil, fmt.Errorf("the key has %d octets, fewer than %d: make one with \"openssl rand -hex 32\"", len(key), minKeyLen)
	}
	return key, nil
}
