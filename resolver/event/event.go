// Package event has the table of the daemon's events: changes of state that an
// operator may want to know, such as PolicyDowngraded. Code logs an event by its
// constant; its level, message and MESSAGE_ID are in this table only. A test checks
// that packaging/mta-sts-daemon.catalog explains each of them.
//
// A lookup is not an event. Lookups are logged at debug level only.
package event

import (
	"context"
	"log/slog"
)

// LevelNotice is syslog's notice, between slog's info and warning: normal, but
// important to the operator.
const LevelNotice = slog.Level(2)

// Event is a kind of event.
type Event uint8

// The kinds of events.
const (
	DaemonStarted Event = iota + 1
	DaemonStopping
	ConnectionsCut
	ConfigReloaded
	ConfigRefused
	ResolvConfUnreadable
	PolicyFound
	PolicyChanged
	PolicyDowngraded
	PolicyUnavailable
	RecordGone
	RefreshFailing
	RefreshRecovered
	StoreDamaged
	StoreEntriesLost
	StoreFailing
	StoreRecovered
	StoreNotCopied
	PolicyMatchesNoMX
	ConfigNeedsRestart
	DANEOn
	DANEOff
	DANENotTrusted
	ResolverValidates
	ResolverNotValidating
	PolicyExpired
	ListenerUnavailable
	DaemonHanging
	SharedStoreFailing
	SharedStoreRecovered
	DiscoveryPutOff
	PolicyMatchesAgain
	PoliciesPurged
	PolicyHostsUnreachable
	PolicyHostsReachable
	AuthoritiesMissing
	AuthoritiesUnreadable
	DNSServerNotFound
	OverrideEnded
	SocketLost
	SocketRestored
	DANEUnknown
	DANEKnown
	ReportsLost
	ReportsSent
	VariablesUnknown
	PageExposed
	lastEvent = PageExposed
)

// Definition is an event's row of the table.
type Definition struct {
	Level   slog.Level
	Message string
	// ID is the journal's MESSAGE_ID, 32 hexadecimal digits, never changed
	// once released.
	ID string
}

var definitions = [...]Definition{
	DaemonStarted:          {slog.LevelInfo, "Ready to answer lookups", "0dd7400194b942be9f9c1e16ab16b2f8"},
	DaemonStopping:         {slog.LevelInfo, "Stopping: lookups under way are still answered", "d6987eebcf5f4a41a5eabc5a8f66164f"},
	ConnectionsCut:         {slog.LevelWarn, "Stopped before every lookup was answered", "2941ab283d2a47b6bc7f858a3ff73b2e"},
	ConfigReloaded:         {slog.LevelInfo, "Configuration reloaded", "ce271ec28ce2444798f5d71424e22548"},
	ConfigRefused:          {slog.LevelError, "Configuration refused, the previous one stays in force", "1de7efb53c8b48e5a638364aee13621e"},
	ResolvConfUnreadable:   {slog.LevelWarn, "resolv.conf cannot be read, its previous servers stay in use", "bf590d50870648b7acbef2d1358de161"},
	PolicyFound:            {slog.LevelInfo, "Policy found", "431a40867e924d68a98f8960e548b680"},
	PolicyChanged:          {LevelNotice, "Policy changed", "cbd0083a45f2439bb3e63eb2f662d34f"},
	PolicyDowngraded:       {slog.LevelWarn, "Policy no longer enforced by its domain", "0564ee2423cc4a039b91c6f5ddbbfba7"},
	PolicyUnavailable:      {LevelNotice, "Policy could not be fetched, mail to the domain is sent without protection", "55e7459e6f8a4f95b8bc8e51708f737c"},
	RecordGone:             {slog.LevelWarn, "Record gone or invalid, the cached policy applies until it expires", "5a0b8b9804e74b8991972b7d0af72853"},
	RefreshFailing:         {slog.LevelWarn, "Policy cannot be refreshed, the cached one applies until it expires", "5fbd2fb8319e46f08c26c9c2fec99a28"},
	RefreshRecovered:       {LevelNotice, "Policy can be refreshed again", "744e68d6ba744080ac64deb68d5dc51d"},
	StoreDamaged:           {slog.LevelWarn, "Policy file cannot be used, set aside and created again", "e12967538aa5b4ba7c0cfc7ed6d2b2e4"},
	StoreEntriesLost:       {slog.LevelWarn, "Policy file had corrupt policies, which were removed", "ad69208f6effae0f41db6c70d7dfbe5e"},
	StoreFailing:           {slog.LevelWarn, "Policy file cannot be written, changes are in memory only", "600b0cdaec869e8bc6b98b69e3e7093b"},
	StoreRecovered:         {LevelNotice, "Policy file can be written again", "c4424a022b26032d0eca572d1aed0fc5"},
	StoreNotCopied:         {slog.LevelWarn, "Policy file upgraded without keeping a copy in the old format", "166e14cf2aba780c008dc56eba6195fd"},
	PolicyMatchesNoMX:      {slog.LevelWarn, "Policy matches none of its domain's MX hosts, mail to it is deferred unless DANE or an override applies", "3b56cb00e30c487a8df62502bb64c882"},
	ConfigNeedsRestart:     {LevelNotice, "Configuration reloaded; some changes need a restart", "be7720580dca4ee483561671f14afd87"},
	DANEOn:                 {slog.LevelInfo, "DANE takes precedence over MTA-STS here", "a434fdb93fb24075aaef468185085be6"},
	DANEOff:                {slog.LevelInfo, "DANE is not looked up here", "bbd3e0fe2c37463182946aee088f750b"},
	DANENotTrusted:         {slog.LevelWarn, "Postfix does DANE, but the resolver's AD bit does not count here, so MTA-STS overrides DANE", "2a96ab2a3b704288bfb6a8624671fedc"},
	ResolverValidates:      {slog.LevelInfo, "Resolver validates DNSSEC", "e9d21e3b8cb74ffdad176ab56604d16d"},
	ResolverNotValidating:  {LevelNotice, "Resolver does not validate DNSSEC, so no domain has DANE", "6051da76598246a995acabe7699f7c02"},
	PolicyExpired:          {slog.LevelWarn, "Policy expired and could not be refreshed, mail is sent without protection", "a26dcbfe91f341c8a78aa9f1f9c4267f"},
	ListenerUnavailable:    {slog.LevelError, "Listener for operators cannot be opened, lookups are still answered", "8b95b241592b4b70a93e6f21c9f0d057"},
	DaemonHanging:          {slog.LevelError, "Lookups are not answered, systemd will restart the daemon", "38e85bfb3b7944f8b3048ba454ba74d3"},
	SharedStoreFailing:     {slog.LevelWarn, "Shared store cannot be used, this node works alone", "3a8040d75408409a7a11f635ba497572"},
	SharedStoreRecovered:   {LevelNotice, "Shared store can be used again", "2452798c402e2ead454977a45cdda54d"},
	DiscoveryPutOff:        {slog.LevelWarn, "Too many unknown domains at the same time, mail to this one is sent as without a policy for now", "f5e9d4655d2742cdb2a372127a882939"},
	PolicyMatchesAgain:     {LevelNotice, "Policy matches an MX host again, mail to the domain is no longer deferred for this reason", "eb6136b4301f4817bf3bd78857527aa5"},
	PoliciesPurged:         {LevelNotice, "All policies purged, each domain is discovered again at its next lookup", "61ef6eb29468474eaffe7ba02672959f"},
	PolicyHostsUnreachable: {slog.LevelWarn, "No policy host can be reached from this host, mail to domains without a cached policy is sent as without one", "4ed96d553e9c42559d3f49382574badd"},
	PolicyHostsReachable:   {LevelNotice, "Policy hosts can be reached again", "757f665e0abd4dc5b339454ead73404b"},
	AuthoritiesMissing:     {slog.LevelWarn, "No certificate authorities, no policy can be fetched and mail to domains without a cached policy is unprotected", "088bf0b8624d4c269b05545e75d05a36"},
	AuthoritiesUnreadable:  {slog.LevelWarn, "Certificate authorities could not be read, policies of hosts that need them cannot be fetched", "15f31f532b554b0b864932c770c741ae"},
	DNSServerNotFound:      {slog.LevelWarn, "A server in dns.servers has no address, its name will be looked up again", "2b9fdb14ac9b5616df9b74ec12f22fcb"},
	OverrideEnded:          {LevelNotice, "Override ended and no longer applies", "b0a96ffeb8052bf9fba071be77716085"},
	SocketLost:             {slog.LevelError, "Socket file is missing, Postfix defers mail if it uses this socket", "3993195c5134482b9f63011efbb663b0"},
	SocketRestored:         {LevelNotice, "Socket file was missing and has been restored", "a9aea35e35aa42f09ec4a05624cc04b6"},
	DANEUnknown:            {LevelNotice, "DANE could not be looked up, Postfix gets TEMP and defers mail to the domain", "8c6f0f6d3c1a4f7a9a5a4d0e5b7c2f41"},
	DANEKnown:              {LevelNotice, "DANE can be looked up again, mail to the domain is no longer deferred for this reason", "f2b4c0d65e7f4b0c8c11d5a9e3a6479d"},
	ReportsLost:            {slog.LevelWarn, "Reports of failed discoveries are lost, the TLSRPT collector cannot take them", "80fb41376e524f8ba7fb600630441df9"},
	ReportsSent:            {LevelNotice, "Reports of failed discoveries reach the TLSRPT collector again", "8ffc52160469484b8d9033cd429990f5"},
	VariablesUnknown:       {slog.LevelWarn, "Environment variables are ignored: they set no key of the configuration", "908e29db1c4e45e0a6703ae340632b14"},
	PageExposed:            {slog.LevelWarn, "Status page names domains and can be read from other hosts", "d57d3d8529034a988d79d34385b57e47"},
}

// commands list the domains of an event.
var commands = [lastEvent + 1]string{
	PolicyFound:        "changes --kind found",
	PolicyChanged:      "changes --kind changed",
	PolicyDowngraded:   "changes --kind downgraded",
	PolicyUnavailable:  "policies --state broken",
	RecordGone:         "policies --state record-gone",
	RefreshFailing:     "policies --state failing",
	RefreshRecovered:   "changes --kind recovered",
	PolicyMatchesNoMX:  "policies --state mismatch",
	PolicyMatchesAgain: "changes --kind mismatch-ended",
	PolicyExpired:      "policies --state expired",
	DANEUnknown:        "policies --state temp",
}

// Command returns the arguments of mta-sts-daemon that list the domains of such
// events, for the line that summarises a flood of them; "" if no command does.
func (e Event) Command() string { return commands[e] }

// Define returns e's row of the table.
func (e Event) Define() Definition { return definitions[e] }

// All yields every event of the table.
func All(yield func(Event) bool) {
	for e := DaemonStarted; e <= lastEvent; e++ {
		if !yield(e) {
			return
		}
	}
}

// Key is the key of the attribute that carries the Event, for handlers that use
// its MESSAGE_ID.
const Key = "event"

// Log logs the event with its level and message.
func (e Event) Log(logger *slog.Logger, attrs ...slog.Attr) {
	def := e.Define()
	if !logger.Enabled(context.Background(), def.Level) {
		return
	}
	attrs = append(attrs, slog.Any(Key, e))
	logger.LogAttrs(context.Background(), def.Level, def.Message, attrs...)
}

// LogValue returns the MESSAGE_ID, for logs other than the journal.
func (e Event) LogValue() slog.Value { return slog.StringValue(e.Define().ID) }
