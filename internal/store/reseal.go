package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// sealedTable is a table that keeps a sealed value in each row. All names are ours, never a caller's.
type sealedTable struct {
	name string
	// key are the columns of its primary key.
	key []string
	// purpose is what the value of the row of a key is sealed for.
	purpose func(key []string) string
	// also is what else a new sealing changes.
	also string
}

// sealedTables is every place of a sealed value: rotation and retirement of keys see what is listed here.
var sealedTables = []sealedTable{
	{name: "tokens", key: []string{"owner"}, purpose: func(k []string) string { return TokenPurpose(k[0]) }},
	{
		name: "connections", key: []string{"location"}, purpose: func(k []string) string { return SettingsPurpose(k[0]) },
		// Whoever read the settings before must not write the old sealing back, so the version grows; nothing is left to
		// follow, so a settled connection stays settled.
		also: ", version = version + 1, settled = CASE WHEN settled = version THEN settled + 1 ELSE settled END",
	},
	{name: "planned", key: []string{"location", "digest"}, purpose: func(k []string) string { return PlannedPurpose(k[1]) }},
}

// sealedValues selects the key of every sealed value.
var sealedValues = func() string {
	parts := make([]string, len(sealedTables))
	for i, t := range sealedTables {
		parts[i] = "SELECT sealed_key FROM " + t.name + " WHERE sealed <> ''"
	}
	return strings.Join(parts, " UNION ALL ")
}()

// SealedByKey counts the sealed values by the id of their key: tokens, settings and planned writes.
func (s *Store) SealedByKey(ctx context.Context) (map[string]int64, error) {
	counts, err := s.counts(ctx, "SELECT sealed_key, COUNT(*) FROM ("+sealedValues+") v GROUP BY sealed_key")
	if err != nil {
		return nil, fmt.Errorf("count the sealed values: %w", err)
	}
	return counts, nil
}

// resealPasses bounds how often Reseal goes through a table whose values others keep replacing.
const resealPasses = 5

// faultsShown bounds the faults in an error of Reseal, which would otherwise grow with the table.
const faultsShown = 10

// Reseal seals anew every value whose key is not want. The caller's reseal opens the old value, for the purpose that is
// named, and seals it again; an error of it leaves that value as it is, and the rest goes on.
//
// It may run while everything else does: a value is replaced only if it still is the one that was read, so a newer one
// is never lost. What other processes seal with the old key while it runs may be left, and SealedByKey tells: run it again
// once every process has the new key. It returns how many values were replaced.
func (s *Store) Reseal(ctx context.Context, want string, reseal func(purpose string, old Sealed) (Sealed, error)) (int, error) {
	if err := named(want); err != nil {
		return 0, fmt.Errorf("seal anew: %w", err)
	}
	var done int
	var faults []error
	for _, table := range sealedTables {
		for range resealPasses {
			r := resealing{Store: s, table: table, want: want, reseal: reseal}
			err := r.pass(ctx)
			done += r.done
			if err != nil {
				return done, fmt.Errorf("seal the %s anew: %w", table.name, err)
			}
			if r.lost == 0 || r.faults != nil {
				faults = append(faults, r.faults...)
				break
			}
		}
	}
	if len(faults) > faultsShown {
		faults = append(faults[:faultsShown], fmt.Errorf("and %d more", len(faults)-faultsShown))
	}
	if err := errors.Join(faults...); err != nil {
		return done, fmt.Errorf("seal anew: %w", err)
	}
	return done, nil
}

// resealing is one pass through a table.
type resealing struct {
	*Store
	table  sealedTable
	want   string
	reseal func(purpose string, old Sealed) (Sealed, error)
	// done counts replaced values, lost those that changed under us.
	done, lost int
	faults     []error
}

type sealedRow struct {
	key []string
	old Sealed
}

func (r *resealing) pass(ctx context.Context) error {
	var after []string
	for {
		rows, err := r.next(ctx, after)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if err := r.one(ctx, row); err != nil {
				return err
			}
		}
		if len(rows) < batch {
			return nil
		}
		after = rows[len(rows)-1].key
	}
}

// next reads the values to be sealed anew that come after a key. No transaction is open while they are.
func (r *resealing) next(ctx context.Context, after []string) ([]sealedRow, error) {
	q := query{}
	key := strings.Join(r.table.key, ", ")
	q.WriteString("SELECT " + key + ", sealed_key, sealed FROM " + r.table.name)
	q.WriteString(" WHERE sealed <> '' AND sealed_key <> " + q.arg(r.want))
	if after != nil {
		q.WriteString(" AND (" + key + ") > " + q.list(anys(after)...))
	}
	q.WriteString(" ORDER BY " + key + " LIMIT " + q.arg(batch))
	rows, err := r.read.QueryContext(ctx, q.String(), q.args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row scanner) (sealedRow, error) {
		found := sealedRow{key: make([]string, len(r.table.key))}
		var dest []any
		for i := range found.key {
			dest = append(dest, &found.key[i])
		}
		err := row.Scan(append(dest, &found.old.KeyID, &found.old.Text)...)
		return found, err
	})
}

func (r *resealing) one(ctx context.Context, row sealedRow) error {
	fresh, err := r.reseal(r.table.purpose(row.key), row.old)
	if err == nil && (fresh.KeyID != r.want || fresh.Text == "") {
		err = errors.New("it was not sealed with the wanted key")
	}
	if err != nil {
		r.faults = append(r.faults, fmt.Errorf("%s: %w", r.table.purpose(row.key), err))
		return ctx.Err()
	}
	q := query{}
	q.WriteString("UPDATE " + r.table.name + " SET sealed_key = " + q.arg(fresh.KeyID) + ", sealed = " + q.arg(fresh.Text) + r.table.also)
	conditions := []string{"sealed = " + q.arg(row.old.Text)}
	for i, column := range r.table.key {
		conditions = append(conditions, column+" = "+q.arg(row.key[i]))
	}
	q.where(conditions)
	result, err := r.write.ExecContext(ctx, q.String(), q.args...)
	if err != nil {
		return err
	}
	switch err := unchanged(result); {
	case errors.Is(err, ErrChanged):
		r.lost++
	case err != nil:
		return err
	default:
		r.done++
	}
	return nil
}
