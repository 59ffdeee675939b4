package sage_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/sandbox/sage"
)

func TestSeedTakesOverWhatAnotherTenantHas(t *testing.T) {
	first, second := sage.New(sage.Options{}), sage.New(sage.Options{})
	account := map[string]any{"name": "Ada", "branchId": first.Find("branches", "Main"), "salesRepId1": first.APIUser(), "extId": "ghl:contact:1"}
	if account["branchId"] == int64(0) {
		account["branchId"] = first.Live("branches")[0].ID
	}
	id, err := first.PeopleCreate("accounts", account)
	require.NoError(t, err)
	made := first.Live("accounts")[0]
	require.Equal(t, id, made.ID)

	at := time.Date(2024, 2, 29, 23, 0, 0, 0, time.UTC)
	ids, err := second.Seed([]sage.PastRecord{{Resource: "accounts", Fields: made.Fields, At: at}})
	require.NoError(t, err)
	sale := map[string]any{"extId": "ghl:txn:1", "accountId": ids[0], "accountExtId": "ghl:contact:1", "salesRepExtId": "1",
		"date": at, "total": domain.Number("12.50"), "dateUpdated": at, "unheardOf": true}
	sales, err := second.Seed([]sage.PastRecord{{Resource: "sales", Fields: sale, At: at.Add(time.Hour)}})
	require.NoError(t, err)

	row := second.Live("sales")[0]
	assert.Equal(t, sales[0], row.ID)
	assert.Equal(t, domain.Number("12.50"), row.Number("total"))
	assert.Equal(t, ids[0], row.Int("accountId"))
	assert.True(t, row.Time("dateCreated").Equal(at.Add(time.Hour)))
	assert.Nil(t, row.Fields["dateUpdated"], "only the server sets it")
	assert.Equal(t, second.APIUser(), row.Int("salesRepIdCreated"))
	assert.Equal(t, "Ada", second.Live("accounts")[0].Text("name"))
	assert.Empty(t, second.Writes())

	sale["accountId"] = ids[0] + 1
	_, err = second.Seed([]sage.PastRecord{{Resource: "sales", Fields: sale, At: at}})
	require.ErrorContains(t, err, "there is no accounts with id")
	delete(sale, "accountId")
	_, err = second.Seed([]sage.PastRecord{{Resource: "sales", Fields: sale, At: at}})
	require.ErrorContains(t, err, "accountId is required")
	_, err = second.Seed([]sage.PastRecord{{Resource: "nothing"}})
	require.ErrorContains(t, err, "no resource nothing")
}
