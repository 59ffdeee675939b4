// Package preflight looks at everything that Tallystick depends on before it runs: configuration, database, keys,
// Temporal, the front door as the world sees it, clocks, and of each connection its state, its HighLevel token with the
// scopes it was granted, and the Sage keys with the tenant's value lists and extra fields. Each look is a Finding that
// says what was found and, if something must be mended, how.
//
// It writes nothing, except for the extra fields at Sage when that is asked for, renews no token, posts to nobody but
// our own front door, and keeps nothing of a customer's data. `starter check` shows what it finds.
package preflight

import (
	"context"
	"net/http"
	"time"

	"github.com/tallystick/tallystick/clients/transport"
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
	// Skip: it could not be looked at, or need not be, for the reason found.
	Skip Verdict = "skip"
)

// Finding is the outcome of one look.
type Finding struct {
	// Part is what was looked at: "configuration", "database", "keys", "temporal", "webhooks", "clock", "connection",
	// "highlevel" or "sage".
	Part string `json:"part"`
	// Location is the connection that was looked at; empty where it is not about one.
	Location string `json:"location,omitempty"`
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

// Subject is what is looked at.
type Subject struct {
	Config config.Config
	// Faults is the error with which the configuration was refused, or nil.
	Faults error
	// Database is what OpenDatabase made.
	Database Database
	// Temporal looks at namespace and search attributes.
	Temporal func(ctx context.Context) []Finding
	// Connections are looked at one after the other.
	Connections []Connection
	// CreateFields makes the extra fields that are missing at Sage; with DryRun it only says which.
	CreateFields, DryRun bool
}

// Run takes every look, one after the other, and tells each finding as it comes.
func (s Subject) Run(ctx context.Context, tell func(Finding)) Report {
	report := Report{OK: true}
	take := func(found []Finding) {
		for _, finding := range found {
			report.OK = report.OK && finding.Verdict != Fail
			report.Findings = append(report.Findings, finding)
			tell(finding)
		}
	}
	for _, look := range []func(context.Context) []Finding{
		s.configuration, s.templates, s.keys, s.database, s.sealed, s.temporal, s.webhooks, s.clocks,
	} {
		take(look(ctx))
	}
	if len(s.Connections) == 0 {
		take(s.unconnected())
	}
	tenants := map[string]string{}
	for _, c := range s.Connections {
		take(c.state(time.Now()))
		if c.idle() {
			continue
		}
		take(c.highLevel(ctx, time.Now()))
		take(s.tenant(ctx, c, tenants))
	}
	return report
}

// unconnected says why nothing is looked at beyond the processes themselves.
func (s Subject) unconnected() []Finding {
	if s.Faults != nil {
		const why = "the configuration has faults"
		return []Finding{
			{Part: highLevelPart, Check: "token", Verdict: Skip, Found: why},
			{Part: sagePart, Check: "log in", Verdict: Skip, Found: why},
		}
	}
	return []Finding{{Part: connectionPart, Check: "connections", Verdict: Warn, Found: "no location is connected",
		Mend: "connect one: `starter connect` by click, `starter connect add` with a private token, or GHL_LOCATION_ID"}}
}

func (s Subject) temporal(ctx context.Context) []Finding {
	if s.Temporal == nil {
		return []Finding{{Part: "temporal", Check: "connection", Verdict: Skip, Found: "the configuration has faults"}}
	}
	return s.Temporal(ctx)
}

// askTime bounds a call that needs no client of a vendor.
const askTime = 10 * time.Second

// asker makes such calls. It follows no redirect: what stands elsewhere is not what is asked about. What the vendors'
// clients do not dial, it does not dial either.
var asker = &http.Client{
	Transport:     transport.NewPool(),
	Timeout:       askTime,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}
