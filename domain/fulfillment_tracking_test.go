package domain_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tallystick/tallystick/domain"
)

func parcel(number string) domain.Tracking { return domain.Tracking{Number: number} }

func TestTrackingKey(t *testing.T) {
	for spelling, key := range map[string]string{
		"1z999aa10123456784":         "1Z999AA10123456784",
		"1Z 999 AA1 01 2345 6784":    "1Z999AA10123456784",
		" 1Z-999\u00a0AA1\u20110123": "1Z999AA10123",
		"0034\u200b0434\t1610–0955":  "0034043416100955",
		"rr123456789de":              "RR123456789DE",
		"":                           "",
		" - ":                        "",
	} {
		assert.Equal(t, key, parcel(spelling).Key(), "%q", spelling)
	}
	assert.Equal(t, "HTTPS://EXAMPLE.COM/A", domain.Tracking{URL: "https://example.com/a"}.Key(), "an address stands in for a number")
	assert.Equal(t, "1", domain.Tracking{Number: "1", URL: "https://example.com"}.Key())
}

func TestParseTrackings(t *testing.T) {
	const url = "https://example.com/t?n=1Z999"
	for _, row := range []struct {
		text string
		want []domain.Tracking
	}{
		{"", nil},
		{" , ;\n", nil},
		{"1Z999", []domain.Tracking{{Number: "1Z999"}}},
		{"1Z 999 aa1", []domain.Tracking{{Number: "1Z 999 aa1"}}},
		{"1Z999 (UPS)", []domain.Tracking{{Number: "1Z999", Carrier: "UPS"}}},
		{"1Z999(Deutsche Post)", []domain.Tracking{{Number: "1Z999", Carrier: "Deutsche Post"}}},
		{"1Z999 (UPS), " + url, []domain.Tracking{{Number: "1Z999", Carrier: "UPS", URL: url}}},
		{"1Z999 (UPS) " + url, []domain.Tracking{{Number: "1Z999", Carrier: "UPS", URL: url}}},
		{"1Z999 (" + url + ")", []domain.Tracking{{Number: "1Z999", URL: url}}},
		{"1Z999 <www.example.com/x>.", []domain.Tracking{{Number: "1Z999", URL: "https://www.example.com/x"}}},
		{url, []domain.Tracking{{URL: url}}},
		{url + ", 4711", []domain.Tracking{{URL: url}, {Number: "4711"}}},
		{"4711, " + url + ", http://b.example", []domain.Tracking{{Number: "4711", URL: url}, {URL: "http://b.example"}}},
		{"4711, cut off…, " + url, []domain.Tracking{{Number: "4711"}, {URL: url}}},
		{"1, 2;3\r\n4", []domain.Tracking{{Number: "1"}, {Number: "2"}, {Number: "3"}, {Number: "4"}}},
		{"4711, 47-11, 47 11 (DHL)", []domain.Tracking{{Number: "4711", Carrier: "DHL"}}},
		{"4711, 12…", []domain.Tracking{{Number: "4711"}}},
		{"DHL 4711 0815", []domain.Tracking{{Number: "4711 0815", Carrier: "DHL"}}},
		{"dhl - DHL 4711", []domain.Tracking{{Number: "4711", Carrier: "dhl"}}},
		{"FedEx #4711", []domain.Tracking{{Number: "4711", Carrier: "FedEx"}}},
		{"DHL 4711 (Express)", []domain.Tracking{{Number: "4711", Carrier: "Express"}}},
		{"Royal Mail: RR 123 456 785 GB", []domain.Tracking{{Number: "RR 123 456 785 GB", Carrier: "Royal Mail"}}},
		{"4711: DPD", []domain.Tracking{{Number: "4711", Carrier: "DPD"}}},
		{"Parcel 1: 4711", []domain.Tracking{{Number: "4711"}}},
		{"UPS (1Z999)", []domain.Tracking{{Number: "1Z999", Carrier: "UPS"}}},
		{"RR 123 456 785 GB", []domain.Tracking{{Number: "RR 123 456 785 GB"}}},
		{"n/a", nil},
		{"none: yet", nil},
		{"collected by the customer; -, ???", nil},
		{"https://", nil},
		{"(UPS)", nil},
	} {
		assert.Equal(t, row.want, domain.ParseTrackings(row.text), "%q", row.text)
	}
}

func TestCleanTrackings(t *testing.T) {
	const url = "https://example.com/a"
	for _, row := range []struct {
		in, want []domain.Tracking
	}{
		{nil, nil},
		{[]domain.Tracking{{}, {Number: "n/a", Carrier: "UPS"}, {URL: "no address"}}, nil},
		{
			[]domain.Tracking{{Number: "1, 2 (DPD)", Carrier: "UPS (Express), fast", URL: url}},
			[]domain.Tracking{{Number: "1", Carrier: "UPS Express fast", URL: url}, {Number: "2", Carrier: "DPD", URL: url}},
		},
		{[]domain.Tracking{{Number: "4711"}, {Number: "47 11", Carrier: "DHL", URL: url}}, []domain.Tracking{{Number: "4711", Carrier: "DHL", URL: url}}},
		{[]domain.Tracking{{Number: url, Carrier: "DHL"}}, []domain.Tracking{{URL: url}}},
		{[]domain.Tracking{{Number: "n/a", URL: "example.com/a b,c;d…"}}, []domain.Tracking{{URL: "https://example.com/a%20b%2Cc%3Bd%E2%80%A6"}}},
	} {
		assert.Equal(t, row.want, domain.CleanTrackings(row.in), "%v", row.in)
	}
}

func TestFormatTrackings(t *testing.T) {
	assert.Empty(t, domain.FormatTrackings(nil))
	assert.Equal(t, "https://example.com/b, 1Z999 (UPS) https://example.com/a, 4711", domain.FormatTrackings([]domain.Tracking{
		{Number: "1Z999", Carrier: "UPS", URL: "https://example.com/a"}, {Number: "4711"}, {URL: "https://example.com/b"},
	}))
}

func trackingKeys(ts []domain.Tracking) map[string]domain.Tracking {
	keys := map[string]domain.Tracking{}
	for _, t := range ts {
		keys[t.Key()] = t
	}
	return keys
}

// TestTrackingsSurviveTheirText writes trackings of any spelling into one field and reads them back.
func TestTrackingsSurviveTheirText(t *testing.T) {
	pieces := rapid.SampledFrom([]string{
		"1Z", "999", "4711", "DHL", "UPS", "a", "é", " ", "  ", "-", "–", ",", ";", "\n", ":", "(", ")", "#", "…", "\u200b", "\u00a0", "٣",
		"https://", "HTTP://", "www.", "example.com", "/", ".", "?a=1", "\x00", "\xff", "<", ">", "\"",
	})
	text := rapid.OneOf(rapid.String(), rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(pieces, 0, 12).Draw(t, "pieces"), "")
	}))
	rapid.Check(t, func(t *rapid.T) {
		var listed []domain.Tracking
		for range rapid.IntRange(0, 4).Draw(t, "trackings") {
			listed = append(listed, domain.Tracking{
				Number: text.Draw(t, "number"), Carrier: text.Draw(t, "carrier"), URL: text.Draw(t, "url"),
			})
		}
		clean := domain.CleanTrackings(listed)
		require.Equal(t, clean, domain.CleanTrackings(clean), "what is clean stays as it is")
		written := domain.FormatTrackings(listed)
		require.NotContains(t, written, "\n")
		read := domain.ParseTrackings(written)
		require.Equal(t, trackingKeys(clean), trackingKeys(read), "written as %q", written)
		require.Equal(t, written, domain.FormatTrackings(read), "the text does not change by being read")
		typed := domain.ParseTrackings(text.Draw(t, "typed"))
		require.Equal(t, trackingKeys(typed), trackingKeys(domain.ParseTrackings(domain.FormatTrackings(typed))))
		for _, one := range append(clean, typed...) {
			require.NotEmpty(t, one.Key())
			require.Equal(t, one.Key(), parcel(one.Key()).Key(), "a key is its own key")
		}
	})
}
