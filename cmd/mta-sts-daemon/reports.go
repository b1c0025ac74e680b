package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"mta-sts-daemon/cmd/internal/layout"
	"mta-sts-daemon/cmd/internal/reports"
)

// reportsExit are the exit statuses of the verdicts, as far as the command check has the same.
var reportsExit = map[reports.Verdict]exitStatus{reports.Safe: 0, reports.Advice: 1, reports.Fault: 2, reports.Unknown: 3} // never changed

func newReports() *cobra.Command {
	var asJSON bool
	var since age
	cmd := &cobra.Command{
		Use:   "reports FILE...",
		Short: "Show from received TLS reports if a domain can enforce its policy",
		Long: `reports reads the TLS reports (RFC 8460) that other mail servers sent to the owner of a
domain, and answers whether it is safe to enforce the domain's MTA-STS policy. It counts
sessions by policy, sender, result type and MX host, failures first.

A FILE is a report (JSON, compressed by gzip or not), a mail with reports attached, a
mailbox (mbox), a Maildir, or a directory of these; "-" is the standard input. Copies of a
report (the same organisation and report-id) are counted once. Anybody can send such a
report: let the mail server check DKIM, and look at the sender of a surprising one.

The exit status is 0 if the policy can be enforced: sessions under it succeeded and none
failed. It is 1 if enforcing defers no mail, but some senders could not fetch the policy
or something could not be read. It is 2 if mail of failed sessions is or would be
deferred, or no sender could use the policy. It is 3 if there is no report, or none about
a session under an MTA-STS policy. It is 64 for a mistake in the command line.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError("reports needs a file, a directory, or - for the standard input: %s FILE...", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var start time.Time
			if since > 0 {
				start = time.Now().Add(-time.Duration(since))
			}
			collector := reports.NewCollector(start)
			for _, name := range args {
				if name == "-" {
					collector.ReadStream("standard input", cmd.InOrStdin())
				} else {
					collector.Read(name)
				}
			}
			summary := collector.Summary()
			print := func() error { return summary.Print(layout.OnLines(cmd.OutOrStdout())) }
			if asJSON {
				print = func() error { return printJSON(cmd, summary) }
			}
			if err := print(); err != nil {
				return err
			}
			for _, p := range summary.Problems {
				cmd.PrintErrln("mta-sts-daemon:", p)
			}
			if more := summary.NumProblems - len(summary.Problems); more > 0 {
				cmd.PrintErrln("mta-sts-daemon:", fmt.Sprintf("and %s more", layout.Count(more, "problem")))
			}
			if status := reportsExit[summary.Verdict()]; status != 0 {
				return status
			}
			return nil
		},
	}
	cmd.Flags().Var(&since, "since", "ignore reports that are older than this, for example 36h, `7d`")
	jsonFlag(cmd, &asJSON)
	return cmd
}
