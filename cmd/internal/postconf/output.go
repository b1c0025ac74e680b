package postconf

import "bytes"

// maxOutput limits each of the program's outputs, in bytes.
const maxOutput = 64 << 10

// output keeps a program's output, up to maxOutput. Beyond that a write fails,
// which ends the program.
type output struct {
	buf  bytes.Buffer
	full bool
}

func (o *output) Write(p []byte) (int, error) {
	if o.buf.Len()+len(p) > maxOutput {
		o.full = true
		return 0, bytes.ErrTooLarge
	}
	return o.buf.Write(p)
}

func (o *output) String() string { return o.buf.String() }
