// Package preflight looks at everything that Tallystick depends on before it runs: configuration, database, keys,
// Temporal, the HighLevel token with its scopes, the Sage keys with the tenant's value lists and extra fields. Each look
// is a Finding that says what was found and, if something must be mended, how.
//
// It writes nothing, except for the extra fields at Sage when that is asked for, and reads no customer's data. `starter
// check` shows what it finds.
package preflight

import (
	"context"

	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/internal/config"
)

// Verdict is what a look came to.
type Verdict string

// The verdicts.
const (
	// OK: nothing to do.
	OK Verdict = "ok"
	// Warn: it works without, but a person may want to know.
	Warn Verdict = "warn"
	// Fail: this must be mended before orders can be brought into Sage.
	Fail Verdict = "fail"
	// Skip: it could not be looked at because of a failure before it.
	Skip Verdict = "skip"
)

// Finding is the outcome of one look.
type Finding struct {
	// Part is what was looked at: "configuration", "database", "keys", "temporal", "highlevel" or "sage".
	Part string `json:"part"`
	// Check is what about it.
	Check   string  `json:"check"`
	Verdict Verdict `json:"verdict"`
	// Found says what was found, Mend what to do about it.
	Found string `json:"found,omitempty"`
	Mend  string `json:"mend,omitempty"`
	// Choices are the values that a setting may have, where it must be chosen.
	Choices []Choice `json:"choices,omitempty"`
}

// Choice is an entry of one of the tenant's value lists.
type Choice struct {
	ID   int64  `json:"id"`
	Name string `json:"name,omitempty"`
}

// Report is everything that was found.
type Report struct {
	// OK is false when something failed.
	OK       bool      `json:"ok"`
	Findings []Finding `json:"findings"`
}

// Subject is what is looked at. A client that is nil could not be made, for a reason the configuration's findings tell.
type Subject struct {
	Config config.Config
	// Faults is the error with which the configuration was refused, or nil.
	Faults error
	// Temporal looks at namespace and search attributes.
	Temporal func(ctx context.Context) []Finding
	GHL      *ghl.Client
	Sage     *sage.Client
	// CreateFields makes the extra fields that are missing at Sage; with DryRun it only says which.
	CreateFields, DryRun bool
}

// Run takes every look, one after the other, and tells each finding as it comes.
func (s Subject) Run(ctx context.Context, tell func(Finding)) Report {
	report := Report{OK: true}
	for _, look := range []func(context.Context) []Finding{s.configuration, s.keys, s.database, s.temporal, s.highLevel, s.sage} {
		for _, finding := range look(ctx) {
			report.OK = report.OK && finding.Verdict != Fail
			report.Findings = append(report.Findings, finding)
			tell(finding)
		}
	}
	return report
}

func (s Subject) temporal(ctx context.Context) []Finding {
	if s.Temporal == nil {
		return []Finding{{Part: "temporal", Check: "connection", Verdict: Skip, Found: "the configuration has faults"}}
	}
	return s.Temporal(ctx)
}
