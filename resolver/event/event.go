// Package event is the one table of what is worth a line in the log or the
// journal. Whoever logs an event names it; its level, its words and its
// MESSAGE_ID stand here and nowhere else.
package event

import (
	"context"
	"log/slog"
)

// LevelNotice lies between slog's info and warning, as syslog's notice does:
// normal, but an operator wants to know.
const LevelNotice = slog.Level(2)

// Event is one kind of event.
type Event uint8

// The kinds of events. Lookups are no events: they are told at debug alone.
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
	PageExposed
	lastEvent = PageExposed
)

// Definition is what stands in the table for an event.
type Definition struct {
	Level   slog.Level
	Message string
	// ID is the journal's MESSAGE_ID, 32 hexadecimal digits, never changed
	// once released.
	ID string
}

var definitions = [...]Definition{
	DaemonStarted:          {slog.LevelInfo, "Ready to answer lookups", "0dd7400194b942be9f9c1e16ab16b2f8"},
	DaemonStopping:         {slog.LevelInfo, "Stopping: no new lookups, those asked are answered", "d6987eebcf5f4a41a5eabc5a8f66164f"},
	ConnectionsCut:         {slog.LevelWarn, "Stopped before every lookup was answered", "2941ab283d2a47b6bc7f858a3ff73b2e"},
	ConfigReloaded:         {slog.LevelInfo, "Configuration loaded anew", "ce271ec28ce2444798f5d71424e22548"},
	ConfigRefused:          {slog.LevelError, "Configuration refused, the old one stays in force", "1de7efb53c8b48e5a638364aee13621e"},
	ResolvConfUnreadable:   {slog.LevelWarn, "resolv.conf cannot be read, its last servers stay in use", "bf590d50870648b7acbef2d1358de161"},
	PolicyFound:            {slog.LevelInfo, "Policy found", "431a40867e924d68a98f8960e548b680"},
	PolicyChanged:          {LevelNotice, "Policy changed", "cbd0083a45f2439bb3e63eb2f662d34f"},
	PolicyDowngraded:       {slog.LevelWarn, "Policy no longer enforced by its domain", "0564ee2423cc4a039b91c6f5ddbbfba7"},
	PolicyUnavailable:      {LevelNotice, "Policy could not be fetched, mail to the domain is sent without protection", "55e7459e6f8a4f95b8bc8e51708f737c"},
	RecordGone:             {slog.LevelWarn, "Record gone or invalid, the cached policy is applied until it expires", "5a0b8b9804e74b8991972b7d0af72853"},
	RefreshFailing:         {slog.LevelWarn, "Policy cannot be renewed, the one cached is applied until it expires", "5fbd2fb8319e46f08c26c9c2fec99a28"},
	RefreshRecovered:       {LevelNotice, "Policy can be renewed again", "744e68d6ba744080ac64deb68d5dc51d"},
	StoreDamaged:           {slog.LevelWarn, "Policy file cannot be used, set aside and begun anew", "e12967538aa5b4ba7c0cfc7ed6d2b2e4"},
	StoreEntriesLost:       {slog.LevelWarn, "Policy file had damaged policies, removed", "ad69208f6effae0f41db6c70d7dfbe5e"},
	StoreFailing:           {slog.LevelWarn, "Policy file cannot be written, policies are kept in memory alone", "600b0cdaec869e8bc6b98b69e3e7093b"},
	StoreRecovered:         {LevelNotice, "Policy file can be written again, policies are kept", "c4424a022b26032d0eca572d1aed0fc5"},
	StoreNotCopied:         {slog.LevelWarn, "Policy file upgraded without keeping a copy in the old format", "166e14cf2aba780c008dc56eba6195fd"},
	PolicyMatchesNoMX:      {slog.LevelWarn, "Policy matches none of its domain's MX hosts, mail to it will be deferred", "3b56cb00e30c487a8df62502bb64c882"},
	ConfigNeedsRestart:     {LevelNotice, "Configuration loaded anew, but for keys that take a restart", "be7720580dca4ee483561671f14afd87"},
	DANEOn:                 {slog.LevelInfo, "DANE goes before MTA-STS here", "a434fdb93fb24075aaef468185085be6"},
	DANEOff:                {slog.LevelInfo, "DANE is left to Postfix: it is not looked up", "bbd3e0fe2c37463182946aee088f750b"},
	DANENotTrusted:         {slog.LevelWarn, "Postfix does DANE but its answers cannot be trusted here, so MTA-STS overrides DANE", "2a96ab2a3b704288bfb6a8624671fedc"},
	ResolverValidates:      {slog.LevelInfo, "Resolver validates DNSSEC", "e9d21e3b8cb74ffdad176ab56604d16d"},
	ResolverNotValidating:  {LevelNotice, "Resolver does not validate DNSSEC, so no domain has DANE", "6051da76598246a995acabe7699f7c02"},
	PolicyExpired:          {slog.LevelWarn, "Policy expired and could not be renewed, mail is sent as without one", "a26dcbfe91f341c8a78aa9f1f9c4267f"},
	ListenerUnavailable:    {slog.LevelError, "Listener for operators cannot be opened, lookups are answered all the same", "8b95b241592b4b70a93e6f21c9f0d057"},
	DaemonHanging:          {slog.LevelError, "Lookups are not answered, systemd is left to restart the daemon", "38e85bfb3b7944f8b3048ba454ba74d3"},
	SharedStoreFailing:     {slog.LevelWarn, "Shared store cannot be used, policies are found without it", "3a8040d75408409a7a11f635ba497572"},
	SharedStoreRecovered:   {LevelNotice, "Shared store can be used again", "2452798c402e2ead454977a45cdda54d"},
	DiscoveryPutOff:        {slog.LevelWarn, "Too many unknown domains at once, mail to this one is sent as without a policy for now", "f5e9d4655d2742cdb2a372127a882939"},
	PolicyMatchesAgain:     {LevelNotice, "Policy matches an MX host again, mail to the domain is no longer deferred for that", "eb6136b4301f4817bf3bd78857527aa5"},
	PoliciesPurged:         {LevelNotice, "All policies purged, each domain is discovered again at its next lookup", "61ef6eb29468474eaffe7ba02672959f"},
	PolicyHostsUnreachable: {slog.LevelWarn, "No policy host can be reached from this host, mail to domains without a cached policy is sent as without one", "4ed96d553e9c42559d3f49382574badd"},
	PolicyHostsReachable:   {LevelNotice, "Policy hosts can be reached again", "757f665e0abd4dc5b339454ead73404b"},
	AuthoritiesMissing:     {slog.LevelWarn, "No certificate authorities, so that no policy can be fetched and mail to domains whose policy is not known is unprotected", "088bf0b8624d4c269b05545e75d05a36"},
	AuthoritiesUnreadable:  {slog.LevelWarn, "Certificate authorities could not be read, policies of hosts that need them cannot be fetched", "15f31f532b554b0b864932c770c741ae"},
	DNSServerNotFound:      {slog.LevelWarn, "A server of dns.servers has no address, its name is looked up again", "2b9fdb14ac9b5616df9b74ec12f22fcb"},
	OverrideEnded:          {LevelNotice, "Override ended and no longer applies", "b0a96ffeb8052bf9fba071be77716085"},
	SocketLost:             {slog.LevelError, "Socket file is missing, Postfix defers the mail that needs it", "3993195c5134482b9f63011efbb663b0"},
	SocketRestored:         {LevelNotice, "Socket file was missing and is there again", "a9aea35e35aa42f09ec4a05624cc04b6"},
	DANEUnknown:            {LevelNotice, "DANE could not be looked up, Postfix gets TEMP and defers mail to the domain", "8c6f0f6d3c1a4f7a9a5a4d0e5b7c2f41"},
	DANEKnown:              {LevelNotice, "DANE can be looked up again, mail to the domain is no longer deferred for that", "f2b4c0d65e7f4b0c8c11d5a9e3a6479d"},
	ReportsLost:            {slog.LevelWarn, "Reports of failed discoveries are lost, the TLSRPT collector cannot take them", "80fb41376e524f8ba7fb600630441df9"},
	ReportsSent:            {LevelNotice, "Reports of failed discoveries reach the TLSRPT collector again", "8ffc52160469484b8d9033cd429990f5"},
	PageExposed:            {slog.LevelWarn, "Status page names domains and can be read from other hosts", "d57d3d8529034a988d79d34385b57e47"},
}

// commands list the domains that a kind of event is about.
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

// Command returns the arguments of mta-sts-daemon that list the domains of a flood of
// such events, of which only the first are logged one by one; "" if there are none.
func (e Event) Command() string { return commands[e] }

// Define returns what the table says of e.
func (e Event) Define() Definition { return definitions[e] }

// All yields every event of the table.
func All(yield func(Event) bool) {
	for e := DaemonStarted; e <= lastEvent; e++ {
		if !yield(e) {
			return
		}
	}
}

// Key of the attribute that carries the Event itself, for a handler that wants
// its MESSAGE_ID.
const Key = "event"

// Log writes the event with its level and its words.
func (e Event) Log(logger *slog.Logger, attrs ...slog.Attr) {
	def := e.Define()
	if !logger.Enabled(context.Background(), def.Level) {
		return
	}
	attrs = append(attrs, slog.Any(Key, e))
	logger.LogAttrs(context.Background(), def.Level, def.Message, attrs...)
}

// LogValue gives the event its MESSAGE_ID in logs that are not the journal.
func (e Event) LogValue() slog.Value { return slog.StringValue(e.Define().ID) }
