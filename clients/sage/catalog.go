package sage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// staleFactor is how many times its normal age a copy may reach while Sage can't be asked. Ids of value lists
	// hardly ever change, and an order must not wait for a list that is there.
	staleFactor = 6
	// catalogTime bounds the reading of one list with all its waiting, as no single caller's deadline may.
	catalogTime = 2 * time.Minute
)

// Catalog resolves what other systems call things to the tenant's own ids. It reads each value list when it is first
// needed, once for all callers, and again when the copy is older than Options.CatalogTTL.
type Catalog struct {
	statuses   *cached[[]OrderStatus]
	currencies *cached[[]Currency]
	branches   *cached[[]Branch]
	users      *cached[[]User]
	countries  *cached[[]Country]
	activities *cached[[]Entry]
	stages     *cached[[]OpportunityStatus]
	orders     *cached[Schema]
}

func newCatalog(c *Client, ttl time.Duration, now func() time.Time, logger *slog.Logger) *Catalog {
	return &Catalog{
		statuses:   newCached("order statuses", ttl, now, logger, c.OrderStatuses.Live),
		currencies: newCached("currencies", ttl, now, logger, c.Currencies.Live),
		branches:   newCached("branches", ttl, now, logger, c.Branches.Live),
		users:      newCached("users", ttl, now, logger, c.Users.Live),
		countries:  newCached("countries", ttl, now, logger, c.Countries.Live),
		activities: newCached("activity types", ttl, now, logger, c.ActivityTypes.Live),
		stages:     newCached("opportunity statuses", ttl, now, logger, c.OpportunityStatuses.Live),
		orders:     newCached("order schema", ttl, now, logger, c.Orders.Schema),
	}
}

// Forget drops all copies, so that the next questions are answered by Sage. For use after the tenant was changed.
func (k *Catalog) Forget() {
	k.statuses.forget()
	k.currencies.forget()
	k.branches.forget()
	k.users.forget()
	k.countries.forget()
	k.activities.forget()
	k.stages.forget()
	k.orders.forget()
}

// OrderStatuses are the live order statuses by ascending id. The slice is shared: don't change it.
func (k *Catalog) OrderStatuses(ctx context.Context) ([]OrderStatus, error) {
	return k.statuses.get(ctx)
}

// Currencies are the live currencies by ascending id. The slice is shared: don't change it.
func (k *Catalog) Currencies(ctx context.Context) ([]Currency, error) { return k.currencies.get(ctx) }

// Branches are the live branches by ascending id. The slice is shared: don't change it.
func (k *Catalog) Branches(ctx context.Context) ([]Branch, error) { return k.branches.get(ctx) }

// Users are the users that are not deleted, by ascending id. The slice is shared: don't change it.
func (k *Catalog) Users(ctx context.Context) ([]User, error) { return k.users.get(ctx) }

// Countries are the live countries by ascending id. The slice is shared: don't change it.
func (k *Catalog) Countries(ctx context.Context) ([]Country, error) { return k.countries.get(ctx) }

// ActivityTypes are the live types of activities by ascending id. The slice is shared: don't change it.
func (k *Catalog) ActivityTypes(ctx context.Context) ([]Entry, error) { return k.activities.get(ctx) }

// OrderSchema says what fields the tenant's orders have, extra fields included.
func (k *Catalog) OrderSchema(ctx context.Context) (Schema, error) { return k.orders.get(ctx) }

// Currency is the id of a currency by its ISO 4217 code, in any case. A currency that the tenant lacks is a
// *MappingError that names those it has. Of several entries with one code, which mean the same, it is the first.
func (k *Catalog) Currency(ctx context.Context, isoCode string) (int64, error) {
	currencies, err := k.Currencies(ctx)
	if err != nil {
		return 0, err
	}
	missing := &MappingError{What: fmt.Sprintf("currency %q", clip(isoCode, 8))}
	for _, c := range currencies {
		if code := strings.TrimSpace(c.ISOCode); code != "" && strings.EqualFold(code, isoCode) {
			return c.ID, nil
		}
		missing.Choices = append(missing.Choices, c.ISOCode)
	}
	return 0, missing
}

// CurrencyCode is the ISO 4217 code of a currency id, in capitals, or "" for an id that the tenant does not have.
func (k *Catalog) CurrencyCode(ctx context.Context, id int64) (string, error) {
	currencies, err := k.Currencies(ctx)
	if err != nil {
		return "", err
	}
	for _, c := range currencies {
		if c.ID == id {
			return strings.ToUpper(strings.TrimSpace(c.ISOCode)), nil
		}
	}
	return "", nil
}

// Country is the id of a country by its ISO 3166 alpha-2 code, in any case, and whether the tenant has it.
func (k *Catalog) Country(ctx context.Context, iso2 string) (id int64, found bool, err error) {
	countries, err := k.Countries(ctx)
	if err != nil {
		return 0, false, err
	}
	for _, c := range countries {
		if iso2 != "" && strings.EqualFold(strings.TrimSpace(c.ISO2), iso2) {
			return c.ID, true, nil
		}
	}
	return 0, false, nil
}

// Outcome is what an order status means for the sale.
type Outcome int

// The outcomes. A status that is flagged both won and lost is neither of them.
const (
	Open Outcome = iota
	Won
	Lost
)

// String is the word for people.
func (o Outcome) String() string { return [...]string{"open", "won", "lost"}[o] }

func (s OrderStatus) is(o Outcome) bool {
	won, lost := bool(s.Won), bool(s.Lost)
	return (o == Open && !won && !lost) || (o == Won && won && !lost) || (o == Lost && lost && !won)
}

// OrderStatus is the id of the one status with the outcome that is visible in the branch (any branch if 0). Where there
// is none, or more than one, it is a *MappingError that names the choices and the variable that settles it.
func (k *Catalog) OrderStatus(ctx context.Context, outcome Outcome, branchID int64, variable string) (int64, error) {
	statuses, err := k.OrderStatuses(ctx)
	if err != nil {
		return 0, err
	}
	pick := choice{what: "order status that means " + outcome.String(), variable: variable}
	for _, s := range statuses {
		if s.is(outcome) && s.visibleIn(branchID) {
			pick.add(s.ID, s.Label())
		}
	}
	return pick.only()
}

// Branch is the id of the default branch, or of the only one there is. Else it is a *MappingError that names the
// choices and the variable that settles it.
func (k *Catalog) Branch(ctx context.Context, variable string) (int64, error) {
	branches, err := k.Branches(ctx)
	if err != nil {
		return 0, err
	}
	standard, all := choice{}, choice{what: "branch", variable: variable}
	for _, b := range branches {
		name := b.Name
		if name == "" {
			name = b.Label()
		}
		all.add(b.ID, name)
		if b.Default {
			standard.add(b.ID, name)
		}
	}
	if len(standard.ids) == 1 {
		return standard.ids[0], nil
	}
	return all.only()
}

// SalesRep is the id of the only active user. Else it is a *MappingError with the variable that settles it and the ids
// of the users; their names are personal, and shown only by who lists Users.
func (k *Catalog) SalesRep(ctx context.Context, variable string) (int64, error) {
	users, err := k.Users(ctx)
	if err != nil {
		return 0, err
	}
	pick := choice{what: "active user to own the records", variable: variable}
	for _, u := range users {
		if u.IsActive() {
			pick.add(u.ID, "")
		}
	}
	return pick.only()
}

// ActivityType is the id of the only type of activity. Calendar entries are of the same types (A115). Where there is none,
// or more than one, it is a *MappingError that names the choices and the variable that settles it.
func (k *Catalog) ActivityType(ctx context.Context, variable string) (int64, error) {
	types, err := k.ActivityTypes(ctx)
	if err != nil {
		return 0, err
	}
	pick := choice{what: "type of activity", variable: variable}
	for _, t := range types {
		pick.add(t.ID, t.Label())
	}
	return pick.only()
}

// choice gathers candidates and insists that there is exactly one.
type choice struct {
	what, variable string
	ids            []int64
	labels         []string
}

func (c *choice) add(id int64, label string) {
	c.ids = append(c.ids, id)
	c.labels = append(c.labels, strings.TrimSpace(strconv.FormatInt(id, 10)+" "+clip(label, 60)))
}

func (c *choice) only() (int64, error) {
	if len(c.ids) == 1 {
		return c.ids[0], nil
	}
	return 0, &MappingError{What: c.what, Variable: c.variable, Choices: slices.Clone(c.labels)}
}

// cached keeps one answer of Sage for a while.
type cached[T any] struct {
	name   string
	ttl    time.Duration
	now    func() time.Time
	logger *slog.Logger
	load   func(context.Context) (T, error)
	flight singleflight.Group

	mu       sync.Mutex
	value    T
	loadedAt time.Time // zero while there is nothing
}

func newCached[T any](name string, ttl time.Duration, now func() time.Time, logger *slog.Logger,
	load func(context.Context) (T, error),
) *cached[T] {
	return &cached[T]{name: name, ttl: ttl, now: now, logger: logger, load: load}
}

func (c *cached[T]) get(ctx context.Context) (T, error) {
	if value, ok := c.younger(c.ttl); ok {
		return value, nil
	}
	// One reading serves all who wait for it, so it must not end with the first one's deadline.
	result := c.flight.DoChan(c.name, func() (any, error) { return nil, c.refresh(context.WithoutCancel(ctx)) })
	var err error
	select {
	case <-ctx.Done():
		err = ctx.Err()
	case done := <-result:
		err = done.Err
	}
	if err == nil || !errors.Is(err, ErrCredentials) {
		if value, ok := c.younger(staleFactor * c.ttl); ok {
			return value, nil
		}
	}
	var none T
	if err == nil {
		err = errors.New("it was dropped meanwhile; ask again")
	}
	return none, fmt.Errorf("read the %s of sage: %w", c.name, err)
}

func (c *cached[T]) younger(age time.Duration) (T, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.value, !c.loadedAt.IsZero() && c.now().Sub(c.loadedAt) < age
}

func (c *cached[T]) refresh(ctx context.Context) error {
	if _, ok := c.younger(c.ttl); ok {
		return nil // somebody has read it between the look and this flight
	}
	ctx, cancel := context.WithTimeout(ctx, catalogTime)
	defer cancel()
	began := c.now()
	value, err := c.load(ctx)
	if err != nil {
		c.logger.LogAttrs(ctx, slog.LevelWarn, "value list not read", slog.String("vendor", vendor),
			slog.String("list", c.name), slog.String("error", err.Error()))
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.value, c.loadedAt = value, began
	return nil
}

func (c *cached[T]) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.loadedAt = time.Time{}
}
