package transport

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestAVendorsEchoIsNotRepeated: what was sent as a text comes back in the vendor's words, and goes no further.
func TestAVendorsEchoIsNotRepeated(t *testing.T) {
	for words, want := range map[string]string{
		`Account "Byron Ltd & Sons" exists, of BYRON in Plantedstreet 77`: `Account "[sent]" exists, of [sent] in [sent]`,
		"currency EUR is unknown to branch 51":                            "currency EUR is unknown to branch 51",
		"extId order_6542980118f3a1b2c3d4e5f6 is taken":                   "extId order_6542980118f3a1b2c3d4e5f6 is taken",
		"name is required": "name is required",
		"":                 "",
	} {
		body := map[string]any{
			"name": "Byron", "company": "Byron Ltd & Sons", "currency": "EUR", "extId": "order_6542980118f3a1b2c3d4e5f6",
			"address": map[string]any{"lines": []any{" Plantedstreet 77 ", "", nil, 7}},
		}
		assert.Equal(t, want, withoutEcho(words, &request{Call: Call{Body: body}}))
	}
	words := map[string]any{"altType": "location", "productType": "DIGITAL"}
	assert.Equal(t, "Location is not digital", withoutEcho("Location is not digital", &request{Call: Call{Body: words}}),
		"an API's own words, by which a refusal is told")
	form := url.Values{"user_type": {"Location"}}
	assert.Equal(t, "Location is not active", withoutEcho("Location is not active", &request{Call: Call{Form: form}}))
	assert.Equal(t, "no Byron here", withoutEcho("no Byron here", &request{}))

	client := serve(t, Config{Vendor: "vendor"}, answerWith(http.StatusUnprocessableEntity, `{"message":"Plantedsurname is known already"}`))
	call := put
	call.Body = map[string]string{"lastName": "Plantedsurname"}
	_, err := client.Do(t.Context(), call, nil)
	assert.ErrorContains(t, err, "[sent] is known already")
	assert.NotContains(t, err.Error(), "Plantedsurname")
}
