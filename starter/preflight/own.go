package preflight

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/store"
)

// configuration tells every fault of the environment, and what looks misspelt.
func (s Subject) configuration(context.Context) []Finding {
	const part = "configuration"
	var found []Finding
	var faults config.Faults
	switch {
	case errors.As(s.Faults, &faults):
		for _, fault := range faults {
			found = append(found, Finding{Part: part, Check: fault.Variable, Verdict: Fail, Found: fault.Problem,
				Mend: "docs/configuration.md explains the variable"})
		}
	case s.Faults != nil:
		found = append(found, Finding{Part: part, Check: "environment", Verdict: Fail, Found: s.Faults.Error()})
	default:
		found = append(found, Finding{Part: part, Check: "environment", Verdict: OK})
	}
	for _, name := range s.Config.Unknown {
		found = append(found, Finding{Part: part, Check: name, Verdict: Warn, Found: "no variable of this name is known",
			Mend: "look for a misspelling in docs/configuration.md"})
	}
	if s.Config.Orders.ReadOnly {
		found = append(found, Finding{Part: part, Check: "READ_ONLY", Verdict: Warn, Found: "nothing will be written to a vendor",
			Mend: "unset it when orders shall be brought into Sage"})
	}
	return found
}

func (s Subject) keys(context.Context) []Finding {
	ring := Finding{Part: "keys", Check: "key ring", Verdict: OK}
	if s.Config.Secrets.Keys.Ring == nil {
		ring.Verdict, ring.Found = Fail, "SECRET_KEYS is not set, and worker and starter do not start without"
		ring.Mend = `set it to "k1:" and what openssl rand -base64 32 prints, the same for worker and starter`
	} else {
		ring.Found = s.Config.Secrets.Keys.String()
	}
	webhooks := Finding{Part: "keys", Check: "webhook signatures", Verdict: OK, Found: s.Config.GHL.WebhookPublicKeys.String()}
	if len(s.Config.GHL.WebhookPublicKeys) == 0 {
		webhooks.Verdict, webhooks.Found = Skip, "the configuration has faults"
	}
	return []Finding{ring, webhooks}
}

// patience is how long a database server that does not answer is waited for.
const patience = 5 * time.Second

// database looks whether the database answers and has the tables of this program. It makes neither file nor table.
func (s Subject) database(ctx context.Context) []Finding {
	const part = "database"
	address := string(s.Config.Store.DatabaseURL)
	if address == "" {
		return []Finding{{Part: part, Check: "connection", Verdict: Skip, Found: "the configuration has faults"}}
	}
	if path, isFile := strings.CutPrefix(address, "sqlite:"); isFile {
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return []Finding{{Part: part, Check: "connection", Verdict: Warn, Found: "the file does not exist yet",
				Mend: "nothing: the worker or the starter makes it, or `starter migrate` now"}}
		}
	}
	db, err := store.Open(ctx, address, store.WithoutMigrations(), store.WithPatience(patience))
	if err != nil {
		return []Finding{{Part: part, Check: "connection", Verdict: Fail, Found: err.Error(), Mend: "check DATABASE_URL and that the database runs"}}
	}
	defer func() { _ = db.Close() }() // it was only read
	found := []Finding{{Part: part, Check: "connection", Verdict: OK, Found: s.Config.Store.DatabaseURL.String()}}
	migrations, err := db.Migrations(ctx)
	if err != nil {
		return append(found, Finding{Part: part, Check: "tables", Verdict: Fail, Found: err.Error(), Mend: "run `starter migrate`"})
	}
	missing := 0
	for _, m := range migrations {
		if !m.Applied {
			missing++
		}
	}
	tables := Finding{Part: part, Check: "tables", Verdict: OK, Found: fmt.Sprintf("all %d migrations applied", len(migrations))}
	if missing > 0 {
		tables.Verdict, tables.Found = Warn, fmt.Sprintf("%d of %d migrations are missing", missing, len(migrations))
		tables.Mend = "nothing: they are applied at the next start, or by `starter migrate` now"
	}
	return append(found, tables)
}
