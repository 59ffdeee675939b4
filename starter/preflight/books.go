package preflight

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/store"
)

const (
	databasePart = "database"
	keysPart     = "keys"
)

// patience is how long a database server that does not answer is waited for.
const patience = 5 * time.Second

// Database is the database as it was found.
type Database struct {
	// Store is open, with every table there; nil if the database is away, does not exist or lacks tables.
	Store *store.Store
	// Findings say which of that it is.
	Findings []Finding
}

// OpenDatabase looks whether the database answers and has the tables of this program. It makes neither file nor table.
// Whoever calls it closes it.
func OpenDatabase(ctx context.Context, address config.DatabaseURL) Database {
	var d Database
	if address == "" {
		return d.found("connection", Skip, "the configuration has faults", "")
	}
	if path, isFile := strings.CutPrefix(string(address), "sqlite:"); isFile {
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return d.found("connection", Warn, "the file does not exist yet",
				"nothing: the worker or the starter makes it, or `starter migrate` now")
		}
	}
	db, err := store.Open(ctx, string(address), store.WithoutMigrations(), store.WithPatience(patience))
	if err != nil {
		return d.found("connection", Fail, err.Error(), "check DATABASE_URL and that the database runs")
	}
	d.Store = db
	d = d.found("connection", OK, address.String(), "")
	missing, all, err := missingTables(ctx, db)
	switch {
	case err != nil:
		d = d.found("tables", Fail, err.Error(), "run `starter migrate`")
	case missing > 0:
		d = d.found("tables", Warn, fmt.Sprintf("%d of %d migrations are missing", missing, all),
			"nothing: they are applied at the next start, or by `starter migrate` now")
	default:
		return d.found("tables", OK, fmt.Sprintf("all %d migrations applied", all), "")
	}
	_ = db.Close() // it was only read
	d.Store = nil
	return d
}

func missingTables(ctx context.Context, db *store.Store) (missing, all int, err error) {
	migrations, err := db.Migrations(ctx)
	for _, m := range migrations {
		if !m.Applied {
			missing++
		}
	}
	return missing, len(migrations), err
}

func (d Database) found(check string, v Verdict, words, mend string) Database {
	d.Findings = append(d.Findings, Finding{Part: databasePart, Check: check, Verdict: v, Found: words, Mend: mend})
	return d
}

// Close closes what is open.
func (d Database) Close() error {
	if d.Store == nil {
		return nil
	}
	return d.Store.Close()
}

func (s Subject) database(context.Context) []Finding { return s.Database.Findings }

// sealed compares the ring with what the store holds: a value whose key is gone cannot be opened by anybody, and must be
// noticed while the key still is somewhere.
func (s Subject) sealed(ctx context.Context) []Finding {
	const check = "what is sealed"
	ring, db := s.Config.Secrets.Keys.Ring, s.Database.Store
	if ring == nil || db == nil {
		return nil
	}
	sealed, err := db.SealedByKey(ctx)
	if err != nil {
		return []Finding{{Part: keysPart, Check: check, Verdict: Fail, Found: err.Error(), Mend: "check DATABASE_URL and that the database runs"}}
	}
	known, err := db.SealingKeys(ctx)
	if err != nil {
		return []Finding{{Part: keysPart, Check: check, Verdict: Fail, Found: err.Error(), Mend: "check DATABASE_URL and that the database runs"}}
	}
	var found []Finding
	for _, key := range known {
		if slices.Contains(ring.IDs(), key.ID) && ring.Check(key.ID) != key.Check {
			found = append(found, Finding{Part: keysPart, Check: "key " + key.ID, Verdict: Fail,
				Found: "SECRET_KEYS has another key under this id than the one that sealed before",
				Mend:  "put the former key back, and give the new one an id of its own"})
		}
	}
	var all int64
	for _, id := range slices.Sorted(maps.Keys(sealed)) {
		all += sealed[id]
		if !slices.Contains(ring.IDs(), id) {
			found = append(found, Finding{Part: keysPart, Check: "key " + id, Verdict: Fail,
				Found: fmt.Sprintf("%d tokens, settings or planned writes are sealed with it, and SECRET_KEYS lacks it", sealed[id]),
				Mend:  "put it back behind the current key; `starter keys rotate` and `starter keys retire` take it out safely"})
		}
	}
	if len(found) > 0 {
		return found
	}
	words := fmt.Sprintf("%d values in the store, each with a key of the ring", all)
	if behind := all - sealed[ring.CurrentID()]; behind > 0 {
		return []Finding{{Part: keysPart, Check: check, Verdict: Warn, Found: fmt.Sprintf("%s, %d of them not with the current one", words, behind),
			Mend: "`starter keys rotate`, once every process has the present ring"}}
	}
	return []Finding{{Part: keysPart, Check: check, Verdict: OK, Found: words}}
}
