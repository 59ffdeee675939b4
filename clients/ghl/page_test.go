package ghl

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/clients/transport"
)

// shop is a list of n transactions whose server may lie about their total and give fewer rows than asked for.
type shop struct {
	n, largest int
	total      func(offset, rows int) string
	deaf       bool // ignores the offset
	calls      int
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.calls++
	offset, _ := strconv.Atoi(r.URL.Query().Get("offset"))
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	if s.deaf {
		offset = 0
	}
	if s.largest > 0 {
		limit = min(limit, s.largest)
	}
	var rows []string
	for i := offset; i < min(offset+limit, s.n); i++ {
		rows = append(rows, fmt.Sprintf(`{"_id":"t%d","amount":%d.50}`, i, i))
	}
	total := ""
	if s.total != nil {
		total = `,"totalCount":` + s.total(offset, len(rows))
	}
	_, _ = io.WriteString(w, `{"data":[`+strings.Join(rows, ",")+`]`+total+`}`)
}

func TestEveryRowIsReadHoweverTheTotalLies(t *testing.T) {
	fixed := func(s string) func(int, int) string { return func(int, int) string { return s } }
	for name, c := range map[string]struct {
		shop  shop
		limit int
		calls int
	}{
		"true total":           {shop{n: 250, total: fixed("250")}, 0, 3},
		"full last page":       {shop{n: 200, total: fixed("200")}, 0, 3},
		"quoted total":         {shop{n: 200, total: fixed(`"200"`)}, 0, 3},
		"total in an object":   {shop{n: 150, total: fixed(`{"total":150}`), largest: 50}, 0, 3},
		"total in an array":    {shop{n: 150, total: fixed(`[{"total":150}]`), largest: 50}, 0, 3},
		"no total":             {shop{n: 250}, 0, 3},
		"no total, full":       {shop{n: 200}, 0, 3},
		"null total":           {shop{n: 150, total: fixed("null")}, 0, 2},
		"total zero":           {shop{n: 250, total: fixed("0")}, 0, 3},
		"total of the page":    {shop{n: 250, total: func(_, rows int) string { return strconv.Itoa(rows) }}, 0, 3},
		"total much too high":  {shop{n: 250, total: fixed("9999")}, 0, 4},
		"smaller pages":        {shop{n: 250, largest: 50, total: fixed("250")}, 0, 5},
		"small limit":          {shop{n: 25, total: fixed("25")}, 10, 3},
		"nothing":              {shop{n: 0, total: fixed("0")}, 0, 1},
		"nothing but promised": {shop{n: 0, total: fixed("7")}, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			client := serve(t, c.shop.ServeHTTP)
			seen := map[string]bool{}
			for row, err := range client.Transactions.All(t.Context(), TransactionFilter{Limit: c.limit}) {
				require.NoError(t, err)
				require.False(t, seen[row.ID], "no row comes twice")
				seen[row.ID] = true
			}
			require.Equal(t, c.calls, c.shop.calls)
			require.Len(t, seen, c.shop.n)
		})
	}
}

func TestAListThatDoesNotMoveIsAnError(t *testing.T) {
	s := shop{n: 500, deaf: true, total: func(int, int) string { return "500" }}
	client := serve(t, s.ServeHTTP)
	var last error
	for _, err := range client.Transactions.All(t.Context(), TransactionFilter{}) {
		last = err
	}
	require.ErrorIs(t, last, ErrPagesRepeat)
	require.NotNil(t, transport.AsError(last))
	require.Equal(t, 2, s.calls)
}

func TestPagesCanBeWalkedByHand(t *testing.T) {
	s := shop{n: 250, total: func(int, int) string { return "250" }}
	client := serve(t, s.ServeHTTP)
	var at Cursor
	n := 0
	for done := false; !done; {
		p, err := client.Transactions.Page(t.Context(), TransactionFilter{}, at)
		require.NoError(t, err)
		n += len(p.Rows)
		at, done = p.Next, p.Done
	}
	require.Equal(t, 250, n)
	require.Equal(t, Cursor{Offset: 250, Seen: "t200"}, at)
}

func TestOneBadRowDoesNotHideTheOthers(t *testing.T) {
	client := serve(t, answerWith(200, `{"data":[{"_id":"a","amount":1},{"_id":"b","amount":"jane@example.com"},{"amount":1},7,{"_id":"c","amount":"2.50"}],"totalCount":5}`))
	p, err := client.Orders.Page(t.Context(), OrderFilter{}, Cursor{})
	require.NoError(t, err)
	require.Len(t, p.Rows, 2)
	require.True(t, p.Done)
	require.Len(t, p.Unreadable, 3)
	require.Equal(t, "b", p.Unreadable[0].ID)
	require.NotContains(t, p.Unreadable[0].Reason, "jane")
	var bad *RowError
	var ids []string
	for order, err := range client.Orders.All(t.Context(), OrderFilter{}) {
		if err != nil {
			require.ErrorAs(t, err, &bad)
			continue
		}
		ids = append(ids, order.ID)
	}
	require.Equal(t, []string{"a", "c"}, ids)
	require.ErrorContains(t, bad, "unreadable")
}

func TestAWalkCanBeLeft(t *testing.T) {
	s := shop{n: 250}
	client := serve(t, s.ServeHTTP)
	for range client.Transactions.All(t.Context(), TransactionFilter{}) {
		break
	}
	require.Equal(t, 1, s.calls)
	for range client.Orders.All(t.Context(), OrderFilter{}) {
		break
	}
	bad := serve(t, answerWith(200, `{"data":[{},{}]}`))
	for range bad.Orders.All(t.Context(), OrderFilter{}) {
		break
	}
}
