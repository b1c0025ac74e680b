//go:build !linux

package clock

import "time"

func systemBoot() (boot string, since func() time.Duration, ok bool) { return "", nil, false }
