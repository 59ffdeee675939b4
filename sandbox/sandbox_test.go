package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/sandbox/devserver/devservertest"
	"github.com/tallystick/tallystick/sandbox/faults"
	"github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/sandbox/sage"
	"github.com/tallystick/tallystick/sandbox/shop"
	"github.com/tallystick/tallystick/sandbox/stack"
)

// paper is a screen's output that may be read while it is written.
type paper struct {
	mu   sync.Mutex
	text bytes.Buffer
	// seen is called with all that was written, after each write.
	seen func(string)
}

func (p *paper) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, err := p.text.Write(text)
	if p.seen != nil {
		p.seen(p.text.String())
	}
	return n, err
}

// ready makes a place for temporary folders and keeps the environment's Temporal server out of the test.
func ready(t *testing.T) (temporary string) {
	t.Helper()
	devservertest.Binary(t)
	temporary = t.TempDir()
	t.Setenv("TMPDIR", temporary)
	t.Setenv("TEMPORAL_ADDRESS", "")
	return temporary
}

func leftovers(t *testing.T, temporary string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(temporary, "tallystick-*"))
	require.NoError(t, err)
	return found
}

func TestARunEndsWithAgreement(t *testing.T) {
	temporary := ready(t)
	opts, err := parse([]string{"--once", "--orders", "12", "--faults", "some", "--no-limits", "--seed", "7"}, io.Discard)
	require.NoError(t, err)
	var out paper
	require.NoError(t, run(t.Context(), opts, newScreen(&out)), &out.text)
	text := out.text.String()
	require.Regexp(t, `Temporal UI +http://127\.0\.0\.1:\d+`, text)
	require.Regexp(t, `front door +http://127\.0\.0\.1:\d+/readyz`, text)
	require.Regexp(t, `\d\d:\d\d:\d\d  [0-9a-f]{10}  paid .* → Sage order \d+ +in \d`, text)
	require.Regexp(t, `\d\d:\d\d:\d\d  [0-9a-f]{10}  shipped .* (GHL → Sage|Sage → GHL)`, text)
	require.Regexp(t, `\d\d:\d\d:\d\d  [0-9a-f]{10}  delivered .* (carrier → Sage|somebody in Sage)`, text)
	require.Regexp(t, `shipping +[1-9]\d* shipments in GHL, \d+ of them posted for Sage, [1-9]\d* e-mails to customers; [1-9]\d* orders delivered`, text)
	require.Contains(t, text, "12 orders in HighLevel")
	require.Contains(t, text, "they agree to the cent")
	require.NotContains(t, text, "\x1b", "no colours in a file")
	require.Empty(t, leftovers(t, temporary))
}

func TestCtrlCStopsCleanly(t *testing.T) {
	temporary := ready(t)
	opts, err := parse([]string{"--no-limits", "--rate", "20"}, io.Discard)
	require.NoError(t, err)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	line := regexp.MustCompile(`→ Sage order \d+`)
	out := paper{seen: func(text string) {
		if line.MatchString(text) {
			interrupt()
		}
	}}
	require.NoError(t, run(ctx, opts, newScreen(&out)), &out.text)
	require.Regexp(t, `\d+ orders placed, \d+ brought into Sage`, out.text.String())
	require.True(t, strings.HasSuffix(out.text.String(), "\nstopped\n"), &out.text)
	require.Empty(t, leftovers(t, temporary))
}

func TestAnInterruptedComparisonIsNoSuccess(t *testing.T) {
	ready(t)
	opts, err := parse([]string{"--once", "--orders", "500", "--rate", "20"}, io.Discard)
	require.NoError(t, err)
	opts.state = t.TempDir()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	out := paper{seen: func(text string) {
		if strings.Contains(text, "customers buy") {
			interrupt()
		}
	}}
	require.ErrorContains(t, run(ctx, opts, newScreen(&out)), "interrupted")
	info, err := os.Stat(filepath.Join(opts.state, "env"))
	require.NoError(t, err, "a given folder is kept")
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "it holds keys")
}

func TestDifferencesAreListed(t *testing.T) {
	vendor, tenant := ghl.New(ghl.Options{}), sage.New(sage.Options{})
	require.NoError(t, vendor.Start())
	defer vendor.Close()
	open := shop.New(vendor, shop.Options{Seed: 1, Orders: 5})
	require.NoError(t, open.Run(t.Context()))
	report := open.Agree(tenant)
	require.False(t, report.OK(), "nobody has brought anything into Sage")
	s := &stack.Stack{GHL: vendor, Sage: tenant}
	var out paper
	screen := newScreen(&out)
	summarize(s, newFollower(s, screen), faults.NewPlan(1, faults.None), report, time.Minute, screen)
	text := out.text.String()
	for _, difference := range report.Differences {
		require.Contains(t, text, difference)
	}
	require.Regexp(t, `GHL +[1-9]\d* +[1-9][\d.]* USD`, text)
	require.Regexp(t, `Sage +0 +0\.00 USD`, text)
}

func TestFlags(t *testing.T) {
	o, err := parse(nil, io.Discard)
	require.NoError(t, err)
	require.True(t, o.endless())
	require.Equal(t, faults.None, o.level)
	require.InDelta(t, sagePlan, o.sageRate, 0)

	o, err = parse([]string{"--once", "--faults", "hell", "--no-limits"}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, onceOrders, o.orders)
	require.Equal(t, faults.Hell, o.level)
	require.Zero(t, o.sageRate)

	for _, wrong := range [][]string{{"--faults", "much"}, {"--rate", "-1"}, {"--orders", "-1"}, {"--sage-limit", "0"}, {"once"}, {"--what"}, {"--workers", "0"}} {
		_, err := parse(wrong, io.Discard)
		require.Error(t, err, wrong)
	}
	var help bytes.Buffer
	_, err = parse([]string{"--help"}, &help)
	require.True(t, errors.Is(err, flag.ErrHelp))
	require.Contains(t, help.String(), "-once")
	require.Equal(t, exitWrongUse, program([]string{"--nonsense"}))
	require.Equal(t, exitDone, program([]string{"--help"}))
}

func TestColoursOnlyWhereWanted(t *testing.T) {
	s := newScreen(io.Discard)
	require.Equal(t, "x", s.paint(red, "x"))
	s.colours = true
	require.Equal(t, "\x1b[31mx\x1b[0m", s.paint(red, "x"))
	require.Equal(t, "x", s.paint(plain, "x"))
}
