package config

// Mode says whether lookups are answered at all.
type Mode string

// The modes of the daemon; not those of a policy, which mtasts.Mode knows.
const (
	// ModeEnforce answers with the policies that are found.
	ModeEnforce Mode = "enforce"
	// ModeMonitor always answers NOTFOUND and logs the answer that ModeEnforce
	// would give.
	ModeMonitor Mode = "monitor"
)

// TestingMode selects how a policy of mode testing is answered.
type TestingMode string

// The values of TestingMode.
const (
	// TestingIgnore answers NOTFOUND, RFC 8461 section 5.
	TestingIgnore TestingMode = "ignore"
	// TestingEnforce answers as if the policy said enforce.
	TestingEnforce TestingMode = "enforce"
)

// DANE decides whether DANE (RFC 7672) takes precedence over STS.
type DANE string

// The values of DANE.
const (
	// DANEAuto uses DANE if this host's Postfix does.
	DANEAuto DANE = "auto"
	// DANEAlways does DANE and believes the AD bit of the configured servers.
	DANEAlways DANE = "always"
	// DANEOff leaves DANE alone.
	DANEOff DANE = "off"
)

// LogLevel is the least level that is logged.
type LogLevel string

// The levels of log entries, as in syslog.
const (
	LogDebug   LogLevel = "debug"
	LogInfo    LogLevel = "info"
	LogNotice  LogLevel = "notice"
	LogWarning LogLevel = "warning"
	LogError   LogLevel = "error"
)

// LogFormat is how log entries are written.
type LogFormat string

// How log entries are written.
const (
	// LogAuto is journald's native protocol under systemd, else LogText.
	LogAuto LogFormat = "auto"
	// LogText is a line of key=value pairs for each entry on standard error.
	LogText LogFormat = "text"
	// LogJSON is a JSON object for each entry on standard output: engines of
	// containers and their collectors read it there.
	LogJSON LogFormat = "json"
)

// A word is one of the values that a key can have.
type word[T any] struct {
	text  string
	value T
}

// wordsOf returns words whose spelling is their value.
func wordsOf[T ~string](values ...T) []word[T] {
	words := make([]word[T], len(values))
	for i, v := range values {
		words[i] = word[T]{string(v), v}
	}
	return words
}
