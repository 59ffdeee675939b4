package sage

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/clients/transport"
)

// tenant answers value lists by path.
func tenant(lists map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if body, ok := lists[strings.TrimPrefix(r.URL.Path, "/api/v4/")]; ok {
			fmt.Fprint(w, body)
			return
		}
		w.WriteHeader(http.StatusBadRequest)
	}
}

func TestCatalogResolves(t *testing.T) {
	server := newWireServer(t, tenant(map[string]string{
		"currencies": `[{"id":3,"isoCode":"EUR"},{"id":1,"isoCode":"GBP","deleted":true},{"id":4,"isoCode":" usd "}]`,
		"salesorderStatuses": `[{"id":1,"descriptionEN":"Quote","won":false,"lost":false,"branchVisibility":[{"id":9}]},
			{"id":2,"descriptionEN":"Open","won":0,"lost":0},{"id":3,"descriptionEN":"Won","won":1,"lost":0},
			{"id":4,"descriptionEN":"Paid","won":true,"lost":null},{"id":5,"descriptionEN":"Odd","won":true,"lost":true}]`,
		"branches":           `[{"id":7,"name":"North"},{"id":8,"name":"South","default":true}]`,
		"users":              `[{"id":51,"name":"Jane","lastName":"Doe","email":"j@example.com","isActive":true},{"id":52,"name":"Old","isActive":false},{"id":53,"deleted":true}]`,
		"countries":          `[{"id":60,"iso2":"ES","strName":"Spain"}]`,
		"salesorders/schema": `{"properties":{"Z_PaidAmount":{"type":["number","null"]},"id":{"type":"integer"}}}`,
	}))
	client := newTestClient(t, server.URL)
	k, ctx := client.Catalog, t.Context()

	id, err := k.Currency(ctx, "usd")
	require.NoError(t, err)
	assert.Equal(t, int64(4), id)
	code, err := k.CurrencyCode(ctx, 4)
	require.NoError(t, err)
	assert.Equal(t, "USD", code)
	_, err = k.Currency(ctx, "GBP")
	var missing *MappingError
	require.ErrorAs(t, err, &missing)
	assert.Equal(t, []string{"EUR", " usd "}, missing.Choices)
	require.ErrorContains(t, err, `currency "GBP"`)

	id, err = k.OrderStatus(ctx, Open, 7, "SAGE_ORDER_STATUS_OPEN")
	require.NoError(t, err, "the other one is hidden from branch 7")
	assert.Equal(t, int64(2), id)
	_, err = k.OrderStatus(ctx, Open, 9, "SAGE_ORDER_STATUS_OPEN")
	require.ErrorContains(t, err, "set SAGE_ORDER_STATUS_OPEN; the tenant offers 1 Quote, 2 Open")
	_, err = k.OrderStatus(ctx, Won, 0, "SAGE_ORDER_STATUS_WON")
	require.ErrorContains(t, err, "3 Won, 4 Paid")
	_, err = k.OrderStatus(ctx, Lost, 0, "SAGE_ORDER_STATUS_LOST")
	require.ErrorContains(t, err, "offers none")

	id, err = k.Branch(ctx, "SAGE_BRANCH_ID")
	require.NoError(t, err)
	assert.Equal(t, int64(8), id)
	id, err = k.SalesRep(ctx, "SAGE_SALES_REP_ID")
	require.NoError(t, err)
	assert.Equal(t, int64(51), id)
	id, found, err := k.Country(ctx, "es")
	require.NoError(t, err)
	assert.True(t, found)
	assert.Equal(t, int64(60), id)
	_, found, err = k.Country(ctx, "")
	require.NoError(t, err)
	assert.False(t, found)
	schema, err := k.OrderSchema(ctx)
	require.NoError(t, err)
	assert.Len(t, schema.Extra(), 1)

	assert.Len(t, server.requests("/currencies"), 1, "each list is read once")
	assert.Len(t, server.requests("/salesorderStatuses"), 1)
}

func TestCatalogAsksForAChoice(t *testing.T) {
	server := newWireServer(t, tenant(map[string]string{
		"branches": `[{"id":7,"name":"North"},{"id":8,"descriptionEN":"South"}]`,
		"users":    `[{"id":51,"name":"Jane","email":"jane@example.com"},{"id":52,"name":"Joe"}]`,
	}))
	client := newTestClient(t, server.URL)
	_, err := client.Catalog.Branch(t.Context(), "SAGE_BRANCH_ID")
	require.ErrorContains(t, err, "set SAGE_BRANCH_ID; the tenant offers 7 North, 8 South")
	_, err = client.Catalog.SalesRep(t.Context(), "SAGE_SALES_REP_ID")
	require.ErrorContains(t, err, "set SAGE_SALES_REP_ID; the tenant offers 51, 52")
	assert.NotContains(t, err.Error(), "Jane")
}

func TestCatalogAges(t *testing.T) {
	var down atomic.Bool
	lists := tenant(map[string]string{"currencies": `[{"id":3,"isoCode":"EUR"}]`})
	server := newWireServer(t, func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		lists(w, r)
	})
	now := newClock()
	client := newTestClient(t, server.URL, func(o *Options) { o.Now = now.Now; o.CatalogTTL = time.Minute })
	ask := func() error { _, err := client.Catalog.Currency(t.Context(), "EUR"); return err }
	reads := func() int { return len(server.requests("/currencies")) }

	require.NoError(t, ask())
	now.Advance(59 * time.Second)
	require.NoError(t, ask())
	assert.Equal(t, 1, reads())
	now.Advance(time.Second)
	require.NoError(t, ask())
	assert.Equal(t, 2, reads(), "an old copy is read anew")

	down.Store(true)
	now.Advance(2 * time.Minute)
	require.NoError(t, ask(), "an old copy serves while sage can't be asked")
	assert.Equal(t, 3, reads())
	now.Advance(5 * time.Minute)
	err := ask()
	require.Error(t, err, "but not for ever")
	assert.True(t, transport.IsStatus(err, 500))
	down.Store(false)
	require.NoError(t, ask())
	client.Catalog.Forget()
	before := reads()
	require.NoError(t, ask())
	assert.Equal(t, before+1, reads())
}

func TestCatalogIsReadOnceForManyCallers(t *testing.T) {
	server := newWireServer(t, tenant(map[string]string{"currencies": `[{"id":3,"isoCode":"EUR"}]`}))
	client := newTestClient(t, server.URL)
	const callers = 50
	results := make(chan error, callers)
	for range callers {
		go func() { _, err := client.Catalog.Currency(t.Context(), "EUR"); results <- err }()
	}
	var all []error
	for range callers {
		all = append(all, <-results)
	}
	require.NoError(t, errors.Join(all...))
	assert.Len(t, server.requests("/currencies"), 1)
	assert.Equal(t, int64(1), server.logins.Load())
}
