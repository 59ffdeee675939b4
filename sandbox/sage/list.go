package sage

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/govalues/decimal"

	"github.com/tallystick/tallystick/domain"
)

const (
	defaultPage = 50
	// maxPage bounds the Count header. The vendor's bound is not documented; 300 was seen to work (A74).
	maxPage = 1000
)

// list answers one page as a bare array, deleted rows included, without a total. An empty page is [].
func (s *Server) list(w http.ResponseWriter, r *http.Request, t *table) {
	query := r.URL.Query()
	page, err := strconv.Atoi(cmp.Or(query.Get("page"), "0"))
	if err != nil || page < 0 {
		answerError(w, http.StatusBadRequest, "page must be a number from 0", 0)
		return
	}
	size, err := strconv.Atoi(cmp.Or(r.Header.Get("Count"), strconv.Itoa(defaultPage)))
	if err != nil || size < 1 {
		answerError(w, http.StatusBadRequest, "Count must be a number from 1", 0)
		return
	}
	size = min(size, maxPage)

	s.mu.RLock()
	defer s.mu.RUnlock()
	rows, err := t.find(query.Get("where"), query.Get("order"))
	if err != nil {
		answerError(w, http.StatusBadRequest, "SQL is not generated correctly", codeBadSQL)
		return
	}
	from := min(page*size, len(rows))
	rows = rows[from:min(from+size, len(rows))]
	idsOnly := r.Header.Get("ExtraFieldDescription") == "0"
	buf := make([]byte, 0, 64+1024*len(rows))
	buf = append(buf, '[')
	for i, id := range rows {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = s.appendRecord(buf, t, t.rows[id], idsOnly)
	}
	answerBytes(w, append(buf, ']'))
}

// find gives the ids of the rows that a where clause selects, ascending by id, or descending by the order field.
func (t *table) find(where, order string) ([]int64, error) {
	ids := t.ids
	if strings.TrimSpace(where) != "" {
		clause, err := parseWhere(where, t)
		if err != nil {
			return nil, err
		}
		candidates, narrowed := clause.candidates(t)
		if narrowed {
			ids = candidates
		}
		kept := make([]int64, 0, min(len(ids), defaultPage))
		for _, id := range ids {
			if clause.matches(t.rows[id]) {
				kept = append(kept, id)
			}
		}
		ids = kept
	}
	if strings.TrimSpace(order) == "" {
		return ids, nil
	}
	return t.sorted(ids, order)
}

// sorted orders descending, as the vendor's order parameter does whether or not DESC is said.
func (t *table) sorted(ids []int64, order string) ([]int64, error) {
	words := strings.Fields(order)
	f := t.byName[strings.ToLower(words[0])]
	if f == nil || len(words) > 2 || len(words) == 2 && !strings.EqualFold(words[1], "desc") {
		return nil, errBadWhere
	}
	ids = slices.Clone(ids)
	if f.key == "id" {
		slices.Reverse(ids)
		return ids, nil
	}
	slices.SortStableFunc(ids, func(a, b int64) int {
		if c := compare(t.rows[b].values[f.key], t.rows[a].values[f.key]); c != 0 {
			return c
		}
		return cmp.Compare(b, a)
	})
	return ids, nil
}

// compare orders two stored values of one field; null comes first.
func compare(a, b any) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	switch x := a.(type) {
	case string:
		return strings.Compare(strings.ToLower(x), strings.ToLower(b.(string)))
	case int64:
		return cmp.Compare(x, b.(int64))
	case time.Time:
		return x.Compare(b.(time.Time))
	case domain.Number:
		return compareNumbers(x, b.(domain.Number))
	case bool:
		return cmp.Compare(btoi(x), btoi(b.(bool)))
	}
	return 0
}

func compareNumbers(a, b domain.Number) int {
	x, errX := decimal.Parse(a.String())
	y, errY := decimal.Parse(b.String())
	if errX != nil || errY != nil {
		return strings.Compare(a.String(), b.String())
	}
	return x.Cmp(y)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
