package config

// Mode says whether lookups are answered at all.
type Mode string

// The modes of the daemon; not those of a policy, which mtasts.Mode knows.
const (
	// ModeEnforce answers with the policies that are found.
	ModeEnforce Mode = "enforce"
	// ModeMonitor answers NOTFOUND always and logs what it would have answered.
	ModeMonitor Mode = "monitor"
)

// TestingMode says what a policy of mode testing counts as.
type TestingMode string

// What a policy of mode testing counts as.
const (
	// TestingIgnore answers NOTFOUND, RFC 8461 section 5.
	TestingIgnore TestingMode = "ignore"
	// TestingEnforce answers as if the policy said enforce.
	TestingEnforce TestingMode = "enforce"
)

// DANE says where DANE (RFC 7672) goes before STS.
type DANE string

// Where DANE goes before STS.
const (
	// DANEAuto does DANE where this host's Postfix does it.
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

// wordsOf are words that read as what they stand for.
func wordsOf[T ~string](values ...T) []word[T] {
	words := make([]word[T], len(values))
	for i, v := range values {
		words[i] = word[T]{string(v), v}
	}
	return words
}
