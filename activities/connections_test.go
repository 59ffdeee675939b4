package activities_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/internal/notify"
	"github.com/tallystick/tallystick/internal/store"
)

// people read what the operator is told. They do something in between, as people do.
type people struct {
	texts  []string
	before func() error
}

func (*people) Enabled() bool { return true }

func (p *people) Post(_ context.Context, text string) error {
	if p.before != nil {
		if err := p.before(); err != nil {
			return err
		}
	}
	p.texts = append(p.texts, text)
	return nil
}

// connection saves the connection of the world's location.
func (w *world) connection(state store.ConnectionState) store.Connection {
	w.t.Helper()
	c, found, err := w.store.Connection(w.t.Context(), w.ghl.Location())
	require.NoError(w.t, err)
	if !found {
		c = store.Connection{Location: w.ghl.Location(), Access: store.ByOAuth}
	}
	c.State = state
	c, err = w.store.SaveConnection(w.t.Context(), c)
	require.NoError(w.t, err)
	return c
}

func TestTheOperatorIsToldOfWhatIsStillSo(t *testing.T) {
	w := newWorld(t, worldOptions{})
	readers := &people{}
	steps := &activities.Connections{Store: w.store, Notify: readers}
	tell := func(c store.Connection) error {
		_, err := do[any](w, steps.TellOperator, activities.ConnectionVersion{Location: c.Location, Version: c.Version})
		return err
	}
	require.NoError(t, tell(store.Connection{Location: "unknown", Version: 1}))
	refused := w.connection(store.Reconnect)
	back := w.connection(store.Active)
	require.NoError(t, tell(refused))
	require.Empty(t, readers.texts, "it is back")

	refused = w.connection(store.Reconnect)
	readers.before = func() error { back = w.connection(store.Active); return nil }
	require.NoError(t, tell(refused))
	require.Len(t, readers.texts, 1)
	c, _, err := w.store.Connection(t.Context(), back.Location)
	require.NoError(t, err)
	require.False(t, c.Told, "what was told is the state before")

	refused = w.connection(store.Reconnect)
	readers.before = func() error { return &notify.Error{Status: 503} }
	require.Equal(t, activities.Unavailable, kindOf(tell(refused)))
	readers.before = nil
	require.NoError(t, tell(refused))
	require.NoError(t, tell(refused))
	require.Len(t, readers.texts, 2)
	require.Contains(t, readers.texts[1], "must be connected again")

	w.connection(store.Active)
	asleep := w.connection(store.Reconnect)
	asleep.Note = activities.NoteAsleep
	asleep, err = w.store.SaveConnection(t.Context(), asleep)
	require.NoError(t, err)
	require.NoError(t, tell(asleep))
	require.Contains(t, readers.texts[2], "starter connect resume")
	require.NotContains(t, readers.texts[2], "must be connected again", "its credentials are as good as they were")
}

func TestSecretsOfWhoIsNotLeavingAreKept(t *testing.T) {
	w := newWorld(t, worldOptions{})
	steps := &activities.Connections{Store: w.store}
	forget := func(location string, version int64) {
		t.Helper()
		_, err := do[any](w, steps.ForgetSecrets, activities.ConnectionVersion{Location: location, Version: version})
		require.NoError(t, err)
	}
	sealed := store.Sealed{KeyID: "k1", Text: "c2VhbGVk"}
	owner := store.TokenOfLocation(w.ghl.Location())
	_, err := w.store.PutToken(t.Context(), store.Token{Owner: owner, Pair: sealed, Expires: time.Now().Add(time.Hour)})
	require.NoError(t, err)

	forget("unknown", 1)
	forget(w.ghl.Location(), w.connection(store.Active).Version)
	leaving := w.connection(store.Leaving)
	w.connection(store.Active)
	again := w.connection(store.Leaving)
	forget(leaving.Location, leaving.Version)
	_, found, err := w.store.Token(t.Context(), owner)
	require.NoError(t, err)
	require.True(t, found)

	forget(again.Location, again.Version)
	_, found, err = w.store.Token(t.Context(), owner)
	require.NoError(t, err)
	require.False(t, found)
	forget(again.Location, again.Version) // the step died before it could say that it was done
}

func TestAParkedInvoiceIsLookedForAgainAndTakenBack(t *testing.T) {
	w := newWorld(t, worldOptions{})
	order := w.invoiceOrder("INV-7", w.customer())
	park := func(process, id string) {
		_, err := do[any](w, w.ledger.Park, activities.ParkInput{
			Location: w.ghl.Location(), Process: process, ObjectID: id, Kind: "Reconnect", Reason: "why", Heals: true,
		})
		require.NoError(t, err)
	}
	park(store.InvoiceToOrder, order.Source.ID)
	park(store.PaymentToOrder, order.ID)
	park("SomethingElse", "x")
	_, err := w.store.MakeParkedDue(t.Context(), w.ghl.Location(), "Reconnect")
	require.NoError(t, err)
	looked, err := do[int](w, w.ledger.RetryParked, activities.LocationInput{Location: w.ghl.Location()})
	require.NoError(t, err)
	require.Equal(t, 2, looked)
	require.Equal(t, []string{order.Source.ID}, w.looks.invoices)
	require.Equal(t, []string{order.ID}, w.looks.orders)

	found, err := do[[]string](w, w.read.LookAtOrdersOfInvoice, activities.InvoiceInput{Location: w.ghl.Location(), InvoiceID: order.Source.ID})
	require.NoError(t, err)
	require.Equal(t, []string{order.ID}, found)
	_, parked, err := w.store.ParkedItem(t.Context(), w.ghl.Location(), store.InvoiceToOrder, order.Source.ID)
	require.NoError(t, err)
	require.False(t, parked)
}

// TestWhichOrdersCountIsTheLocationsOwn: one location rehearses with test orders, and another does not.
func TestWhichOrdersCountIsTheLocationsOwn(t *testing.T) {
	w := newWorld(t, worldOptions{})
	live := w.shirtOrder("EUR", w.customer())
	fault := errors.New("no settings")
	for _, c := range []struct {
		onlyTest bool
		err      error
		keptOut  activities.Outcome
	}{{false, nil, activities.NotDue}, {true, nil, activities.OtherMode}, {true, fault, ""}} {
		w.read.OnlyTest = func(_ context.Context, location string) (bool, error) {
			require.Equal(t, w.ghl.Location(), location)
			return c.onlyTest, c.err
		}
		reading, err := do[activities.OrderReading](w, w.read.ReadOrder,
			activities.ReadOrderInput{Location: w.ghl.Location(), OrderID: live.ID})
		require.Equal(t, c.err == nil, err == nil)
		require.Equal(t, c.keptOut, reading.KeptOut)
	}
	w.read.OnlyTest = func(context.Context, string) (bool, error) { return true, nil }
	require.NotContains(t, w.sweep(false, time.Now().UTC()), live.ID)
	require.Empty(t, w.looks.invoices)
}

// TestNothingIsAskedOfAVendorForAConnectionThatRests, and what it was asked for waits for the connection alone.
func TestNothingIsAskedOfAVendorForAConnectionThatRests(t *testing.T) {
	w := newWorld(t, worldOptions{})
	for _, kind := range []activities.Kind{activities.Reconnect, activities.Paused} {
		w.read.Client = func(context.Context, string) (*ghl.Client, error) {
			return nil, &activities.Fault{Kind: kind, Words: "connect it"}
		}
		_, err := do[activities.SweepPage](w, w.read.Sweep, activities.SweepInput{Location: w.ghl.Location()})
		require.Equal(t, kind, kindOf(err))
		require.True(t, faultIn(t, err).NonRetryable())
		_, err = do[activities.OrderReading](w, w.read.ReadOrder, activities.ReadOrderInput{Location: w.ghl.Location(), OrderID: "x"})
		require.Equal(t, kind, kindOf(err))
	}
}
