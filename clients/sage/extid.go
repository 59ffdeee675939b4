package sage

import (
	"context"
	"net/url"
)

// Keyed is a record with an external id, the only key that other systems can look records up by.
type Keyed interface {
	Record
	externalID() string
}

// KeyedResource is a Resource whose records have an external id.
//
// Nothing says that external ids are unique (A44), and nothing makes a create repeatable. Find-or-create is therefore the
// caller's, in these steps: FindByExtID; if there is a live record, use it and report duplicates; if not, Create; if
// that error has MayHaveLanded, wait a while, FindByExtID again, and only then Create again. The waiting needs a durable
// clock, which is why it isn't done here.
type KeyedResource[T Keyed, F any] struct {
	*Resource[T, F]
}

func newKeyed[T Keyed, F any](c *Client, name, path string, known map[string]bool) *KeyedResource[T, F] {
	return &KeyedResource[T, F]{newResource[T, F](c, name, path, known)}
}

// Match is what stands in Sage under one external id.
type Match[T any] struct {
	// Live is the live record with the lowest id, nil if there is none.
	Live *T
	// Duplicates are the other live records, by ascending id.
	Duplicates []T
	// Deleted are the ids of the deleted records, ascending.
	Deleted []int64
}

func (m *Match[T]) add(row T, a Audit) {
	switch {
	case bool(a.Deleted):
		m.Deleted = append(m.Deleted, a.ID)
	case m.Live == nil:
		m.Live = &row
	default:
		m.Duplicates = append(m.Duplicates, row)
	}
}

// FindByExtID looks up one external id, in one call unless there are fifty records of it.
func (r *KeyedResource[T, F]) FindByExtID(ctx context.Context, extID string) (Match[T], error) {
	found, err := r.FindByExtIDs(ctx, extID)
	return found[extID], err
}

// FindByExtIDs looks up many external ids, as many in one call as fit into its address (about forty of those that
// Tallystick makes). The result has an entry for every id asked for; an entry without records is an empty Match.
//
// Databases of this kind compare texts without regard to case and to blanks at the end, while the ids of other systems
// differ in case only. So what comes back is compared again, exactly.
func (r *KeyedResource[T, F]) FindByExtIDs(ctx context.Context, extIDs ...string) (map[string]Match[T], error) {
	operation := r.operation(actionFind)
	found := make(map[string]Match[T], len(extIDs))
	var ask []string
	for _, id := range extIDs {
		if id == "" {
			return nil, wrongCall(operation, "an external id is empty")
		}
		if _, twice := found[id]; !twice {
			found[id] = Match[T]{}
			ask = append(ask, id)
		}
	}
	for len(ask) > 0 {
		n := fitting(ask)
		rows, err := r.Find(ctx, extIDFilter(ask[:n]))
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			if match, ours := found[row.externalID()]; ours {
				match.add(row, row.audit())
				found[row.externalID()] = match
			}
		}
		ask = ask[n:]
	}
	return found, nil
}

func extIDFilter(ids []string) Where {
	if len(ids) == 1 {
		return Eq("extId", ids[0])
	}
	return In("extId", ids...)
}

// fitting is how many of the ids go into one filter, at least one.
func fitting(ids []string) int {
	size := len("extId+IN+%28%29")
	for i, id := range ids {
		size += len(url.QueryEscape(id)) + len("%27%27%2C")
		if size > maxWhereEncoded {
			return max(i, 1)
		}
	}
	return len(ids)
}
