package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/workflows/schedules"
)

func keysCommand(a *app) *cobra.Command {
	c := group(&cobra.Command{Use: "keys", Short: "The keys of SECRET_KEYS, and what is sealed with them"})
	c.AddCommand(keysList(a), keysRotate(a), keysRetire(a))
	return c
}

// keyView is a row of `starter keys list`.
type keyView struct {
	ID string `json:"id"`
	// Seals says that it is the first of SECRET_KEYS.
	Seals  bool `json:"seals"`
	InRing bool `json:"inRing"`
	// Differs says that SECRET_KEYS has another key under this id than the one that sealed in the store.
	Differs bool `json:"differs,omitempty"`
	// Since and Until are when it first sealed, and when another took over. They are zero where that did not happen.
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
	// Values counts what is sealed with it in the store: tokens, settings and planned writes.
	Values int64 `json:"values"`
}

func keysList(a *app) *cobra.Command {
	var out format
	c := &cobra.Command{
		Use: "list", Short: "Show the keys, since when they seal, and how much is sealed with each", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := out.check(); err != nil {
				return err
			}
			return a.withBooks(c.Context(), func(cfg config.Config, db *store.Store) error {
				keys, err := viewKeys(c.Context(), cfg.Secrets.Keys.Ring, db)
				if err != nil {
					return err
				}
				return out.print(a.out, keys, func(w io.Writer) { printKeys(w, keys) })
			})
		},
	}
	out.add(c)
	return c
}

// viewKeys lists the keys of the ring in its order, and then those that only the store knows.
func viewKeys(ctx context.Context, ring *secret.Ring, db *store.Store) ([]keyView, error) {
	known, err := db.SealingKeys(ctx)
	if err != nil {
		return nil, err
	}
	values, err := db.SealedByKey(ctx)
	if err != nil {
		return nil, err
	}
	ids := ring.IDs()
	for _, k := range known {
		if !slices.Contains(ids, k.ID) {
			ids = append(ids, k.ID)
		}
	}
	for _, id := range sortedKeys(values) {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	views := make([]keyView, len(ids))
	for i, id := range ids {
		views[i] = keyView{ID: id, Seals: id == ring.CurrentID(), InRing: ring.Has(id), Values: values[id]}
		for _, k := range known {
			if k.ID == id {
				views[i].Since, views[i].Until = k.Since, k.Until
				views[i].Differs = views[i].InRing && ring.Check(id) != k.Check
			}
		}
	}
	return views, nil
}

func printKeys(w io.Writer, keys []keyView) {
	row(w, "KEY", "IN SECRET_KEYS", "SINCE", "UNTIL", "VALUES")
	for _, k := range keys {
		place := "no"
		switch {
		case k.Differs:
			place = "another key under this id"
		case k.Seals:
			place = "first, seals"
		case k.InRing:
			place = "yes"
		}
		row(w, k.ID, place, moment(k.Since), moment(k.Until), k.Values)
	}
}

// rotated is the action of the audit trail that a rotation leaves. Its object is the key that seals since.
const rotated = "keys rotate"

func keysRotate(a *app) *cobra.Command {
	var dryRun bool
	c := &cobra.Command{
		Use: "rotate", Short: "Seal everything anew with the first key of SECRET_KEYS, while the system runs", Args: cobra.NoArgs,
		Long: "Seal everything anew with the first key of SECRET_KEYS, while the system runs: the tokens, settings and planned writes\n" +
			"in the store, and the inputs of the schedules in Temporal. Before, append the new key to the ring everywhere and\n" +
			"restart, then move it to the front everywhere and restart: a process that still seals with the old key would make\n" +
			"this be needed again. Afterwards keep the old key until `starter keys retire` lets it go.",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withBooks(c.Context(), func(cfg config.Config, db *store.Store) error {
				r := rotation{app: a, config: cfg, ring: cfg.Secrets.Keys.Ring, store: db}
				if dryRun {
					return r.plan(c.Context())
				}
				return r.run(c.Context())
			})
		},
	}
	dryRunFlag(c, &dryRun)
	return c
}

type rotation struct {
	*app
	config config.Config
	ring   *secret.Ring
	store  *store.Store
}

// behind counts the values that are sealed with another key than the first, by key, and refuses to begin if one of them
// cannot be opened.
func (r rotation) behind(ctx context.Context) (total int64, byKey map[string]int64, err error) {
	byKey, err = r.store.SealedByKey(ctx)
	if err != nil {
		return 0, nil, err
	}
	delete(byKey, r.ring.CurrentID())
	var lacking []string
	for _, id := range sortedKeys(byKey) {
		total += byKey[id]
		if !r.ring.Has(id) {
			lacking = append(lacking, fmt.Sprintf("%s (%d values)", id, byKey[id]))
		}
	}
	if len(lacking) > 0 {
		return 0, nil, fmt.Errorf("the store holds what no key of SECRET_KEYS opens: put back %s", strings.Join(lacking, ", "))
	}
	return total, byKey, nil
}

func (r rotation) plan(ctx context.Context) error {
	_, byKey, err := r.behind(ctx)
	if err != nil {
		return err
	}
	for _, id := range sortedKeys(byKey) {
		_, _ = fmt.Fprintf(r.out, "%d values sealed with %s would be sealed anew with %s\n", byKey[id], id, r.ring.CurrentID())
	}
	list, err := r.scheduled(ctx)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(r.out, "the inputs of the schedules of %d locations would be written anew\n", len(list))
	return nil
}

// scheduled are the locations that may have schedules: all but those that are gone.
func (r rotation) scheduled(ctx context.Context) ([]string, error) {
	list, err := listConnections(ctx, r.store, store.ConnectionFilter{})
	if err != nil {
		return nil, err
	}
	var locations []string
	for _, c := range list {
		if c.State != store.Retired {
			locations = append(locations, c.Location)
		}
	}
	if home := r.config.GHL.LocationID; home != "" && !slices.ContainsFunc(list, func(c store.Connection) bool { return c.Location == home }) {
		locations = append(locations, home)
	}
	return locations, nil
}

func (r rotation) run(ctx context.Context) error {
	total, _, err := r.behind(ctx)
	if err != nil {
		return err
	}
	id := r.ring.CurrentID()
	if err := r.store.UseKey(ctx, id, r.ring.Check(id)); err != nil {
		return err
	}
	done, err := r.reseal(ctx, int(total))
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(r.out, "%d values sealed anew with %s\n", done, id)
	written, err := r.schedules(ctx)
	if err != nil {
		return fmt.Errorf("the store is done, but the schedules still hold inputs sealed before; run this again: %w", err)
	}
	_, _ = fmt.Fprintf(r.out, "%d schedules written anew\n", written)
	err = r.store.Audit(ctx, store.AuditEntry{At: time.Now().UTC(), Actor: actor(), Action: rotated, Object: id})
	if err != nil {
		return err
	}
	for _, old := range r.ring.IDs() {
		if old != id {
			_, _ = fmt.Fprintf(r.out, "keep %s in SECRET_KEYS until `starter keys retire %s` lets it go\n", old, old)
		}
	}
	return nil
}

// mostRounds bounds how often what others seal with the old key meanwhile is sealed anew.
const mostRounds = 20

// reseal goes round until nothing is left. Another process may store a token in between, with a ring that is older.
func (r rotation) reseal(ctx context.Context, total int) (int, error) {
	p := r.progress("sealed anew", total)
	defer p.end()
	var done int
	for range mostRounds {
		n, err := r.store.Reseal(ctx, r.ring.CurrentID(), func(purpose string, old store.Sealed) (store.Sealed, error) {
			plain, err := r.ring.OpenText(old.Text, purpose)
			if err != nil {
				return store.Sealed{}, err
			}
			p.step()
			id, text := r.ring.SealText(plain, purpose)
			return store.Sealed{KeyID: id, Text: text}, nil
		})
		if done += n; err != nil {
			return done, err
		}
		left, _, err := r.behind(ctx)
		if err != nil || left == 0 {
			return done, err
		}
		p.total = done + int(left)
	}
	return done, errors.New("something goes on sealing with an older key: restart every process with the present SECRET_KEYS, then run this again")
}

// schedules writes the inputs of the schedules that exist anew.
func (r rotation) schedules(ctx context.Context) (written int, err error) {
	locations, err := r.scheduled(ctx)
	if err != nil || len(locations) == 0 {
		return 0, err
	}
	temporal, err := r.dial(ctx, r.config)
	if err != nil {
		return 0, err
	}
	defer temporal.Close()
	c := temporal.ScheduleClient()
	wanted := schedules.Wanted(intervals(r.config), locations...)
	if every := r.config.Watchdog.Interval; every > 0 {
		wanted = append(wanted, schedules.Watchdog(every))
	}
	states, err := schedules.List(ctx, c, wanted)
	if err != nil {
		return 0, err
	}
	var existing []schedules.Item
	for _, s := range states {
		if s.Exists {
			existing = append(existing, s.Item)
		}
	}
	changes, err := schedules.Apply(ctx, c, existing, schedules.ApplyOptions{Force: true})
	return len(changes), err
}

func keysRetire(a *app) *cobra.Command {
	var dryRun bool
	c := &cobra.Command{
		Use: "retire <id>", Short: "Say whether a key may be taken out of SECRET_KEYS, and forget it", Args: cobra.ExactArgs(1),
		Long: "Say whether a key may be taken out of SECRET_KEYS, and forget it. It may not while it seals, while anything in the\n" +
			"store or an input of a schedule is sealed with it, or while Temporal keeps processes that began before everything\n" +
			"was sealed anew: until they have ended and the retention of the namespace has passed.",
		Example: "  starter keys retire k1",
		RunE: func(c *cobra.Command, args []string) error {
			return a.withBooks(c.Context(), func(cfg config.Config, db *store.Store) error {
				r := rotation{app: a, config: cfg, ring: cfg.Secrets.Keys.Ring, store: db}
				if err := r.mayRetire(c.Context(), args[0]); err != nil {
					return fmt.Errorf("the key %s must stay in SECRET_KEYS: %w", args[0], err)
				}
				if dryRun {
					_, _ = fmt.Fprintf(a.out, "%s would be forgotten\n", args[0])
					return nil
				}
				return r.retire(c.Context(), args[0])
			})
		},
	}
	dryRunFlag(c, &dryRun)
	return c
}

func (r rotation) retire(ctx context.Context, id string) error {
	if err := r.store.ForgetKey(ctx, id); err != nil {
		return err
	}
	err := r.store.Audit(ctx, store.AuditEntry{At: time.Now().UTC(), Actor: actor(), Action: "keys retire", Object: id})
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(r.out, "nothing needs %s any more: take it out of SECRET_KEYS, everywhere\n", id)
	return nil
}

// mayRetire says what still needs a key.
func (r rotation) mayRetire(ctx context.Context, id string) error {
	if id == r.ring.CurrentID() {
		return errors.New("it seals; put another key in front of it, everywhere, and run `starter keys rotate`")
	}
	until, err := r.sealedUntil(ctx, id)
	if err != nil {
		return err
	}
	values, err := r.store.SealedByKey(ctx)
	if err != nil {
		return err
	}
	if n := values[id]; n > 0 {
		return fmt.Errorf("%d values in the store are sealed with it; run `starter keys rotate`", n)
	}
	temporal, err := r.dial(ctx, r.config)
	if err != nil {
		return fmt.Errorf("what Temporal keeps cannot be told: %w", err)
	}
	defer temporal.Close()
	if err := r.inSchedules(ctx, temporal, id); err != nil {
		return err
	}
	if err := r.inProcesses(ctx, temporal, until); err != nil {
		return err
	}
	return r.inLaterProcesses(ctx, temporal, id, until)
}

// sealedUntil is when the last input was sealed with a key: when everything was sealed anew after another key had taken
// over. Until then schedules went on starting sweeps with inputs that were sealed before.
func (r rotation) sealedUntil(ctx context.Context, id string) (time.Time, error) {
	keys, err := viewKeys(ctx, r.ring, r.store)
	if err != nil {
		return time.Time{}, err
	}
	i := slices.IndexFunc(keys, func(k keyView) bool { return k.ID == id })
	if i < 0 {
		return time.Time{}, wrongUse("there is no key %q: `starter keys list` shows those that are known", id)
	}
	over := keys[i].Until
	if over.IsZero() && !keys[i].Since.IsZero() {
		return over, errors.New("it still seals by what the store knows; run `starter keys rotate`")
	}
	if over.IsZero() {
		// It never sealed in this store, but may have in one that was lost: what began before the present key did is its.
		over = keys[slices.IndexFunc(keys, func(k keyView) bool { return k.Seals })].Since
	}
	filter := store.AuditFilter{Action: rotated, From: over}
	var first time.Time
	for {
		entries, next, err := r.store.AuditLog(ctx, filter)
		if err != nil {
			return first, err
		}
		if n := len(entries); n > 0 { // newest first
			first = entries[n-1].At
		}
		if next == "" {
			break
		}
		filter.After = next
	}
	if first.IsZero() {
		return first, errors.New("not everything was sealed anew since another key took over; run `starter keys rotate`")
	}
	return first, nil
}
