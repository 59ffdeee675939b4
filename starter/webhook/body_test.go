package webhook

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/internal/testkit"
	"github.com/tallystick/tallystick/starter/intake"
)

// page is one of HighLevel's webhook pages as data.
type page struct {
	Event   string            `json:"event"`
	Samples []json.RawMessage `json:"samples"`
}

// pages reads HighLevel's published webhook pages.
func pages(t testing.TB) []page {
	t.Helper()
	folder := os.Getenv("TALLYSTICK_GHL_CONTRACTS")
	if folder == "" {
		testkit.Missing(t, "HighLevel's published contract files: set TALLYSTICK_GHL_CONTRACTS to the folder that holds webhooks/*.json")
	}
	files, err := filepath.Glob(filepath.Join(folder, "webhooks", "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files, "no webhooks/*.json in TALLYSTICK_GHL_CONTRACTS")
	all := make([]page, 0, len(files))
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		var p page
		require.NoError(t, json.Unmarshal(raw, &p))
		if p.Event == "" {
			p.Event = strings.TrimSuffix(filepath.Base(file), ".json")
		}
		all = append(all, p)
	}
	return all
}

// TestPublishedSamplesByteForByte sends HighLevel's own samples, signed, to the path of their event.
func TestPublishedSamplesByteForByte(t *testing.T) {
	for _, p := range pages(t) {
		t.Run(p.Event, func(t *testing.T) {
			b := open(t)
			for _, sample := range p.Samples {
				code, a, _ := b.send(t, "/webhooks/ghl/"+p.Event, string(sample))
				assert.Equal(t, 200, code, a)
				if _, money := moneyEvents[p.Event]; money {
					assert.Equal(t, "accepted", a.Status)
					var told struct {
						ID string `json:"_id"`
					}
					require.NoError(t, json.Unmarshal(sample, &told))
					got := b.door.all()
					assert.Equal(t, told.ID, got[len(got)-1].Object)
				} else {
					assert.Equal(t, "ignored", a.Status)
				}
			}
		})
	}
}

// TestEachFieldMayBeMissing takes away each field but the id, one at a time and then all at once.
func TestEachFieldMayBeMissing(t *testing.T) {
	for _, p := range pages(t) {
		if _, money := moneyEvents[p.Event]; !money {
			continue
		}
		b := open(t)
		for _, sample := range p.Samples {
			var whole map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(sample, &whole))
			for field := range whole {
				if field == "_id" {
					continue
				}
				less := map[string]json.RawMessage{}
				for k, v := range whole {
					if k != field {
						less[k] = v
					}
				}
				raw, err := json.Marshal(less)
				require.NoError(t, err)
				code, a, _ := b.send(t, "/webhooks/ghl/"+p.Event, string(raw))
				assert.Equal(t, 200, code, "%s without %s: %v", p.Event, field, a)
			}
			code, a, _ := b.send(t, "/webhooks/ghl/"+p.Event, `{"_id":`+string(whole["_id"])+`}`)
			assert.Equal(t, 200, code, "%s with nothing but its id: %v", p.Event, a)
		}
	}
}

func FuzzBody(f *testing.F) {
	f.Add([]byte(paidOrder))
	f.Add([]byte(`{"_id":"a","altId":"a","timestamp":"0000-01-01T00:00:00Z"}`))
	f.Add([]byte(`{"_id":"\ud800","locationId":"a\u0000b"}`))
	f.Add([]byte(`{"_id":{"_id":"x"},"id":"\u002f"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := parseBody(raw)
		if err != nil {
			return
		}
		if !json.Valid(raw) || bytes.TrimSpace(raw)[0] != '{' {
			t.Fatal("read what is no JSON object")
		}
		object, err := b.object()
		if err != nil {
			return
		}
		location, err := b.location(object)
		if err != nil {
			return
		}
		for _, id := range []string{object, location, b.eventID()} {
			if len(id) > intake.LongestID || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`/\'"`, r) }) {
				t.Fatalf("let the id %q through", id)
			}
		}
		if at := b.at(); !at.IsZero() {
			if _, err := at.MarshalJSON(); err != nil {
				t.Fatal(err) // a hint must be able to carry it
			}
		}
	})
}
