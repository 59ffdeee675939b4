package activities_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/sandbox/faults"
)

// person is a contact that people made at Sage, with an account of its own unless one is named.
func (w *world) person(account int64, fields map[string]any) (accountID, contactID int64) {
	w.t.Helper()
	if account == 0 {
		var err error
		account, err = w.sage.PeopleCreate("accounts", map[string]any{"name": "Byron & Co",
			"branchId": w.sage.Find("branches", "Main branch"), "salesRepId1": w.sage.Person()})
		require.NoError(w.t, err)
	}
	all := map[string]any{"accountId": account, "firstName": "Ada", "lastName": "B.", "salesRepId": w.sage.Person()}
	for name, value := range fields {
		all[name] = value
	}
	contact, err := w.sage.PeopleCreate("contacts", all)
	require.NoError(w.t, err)
	return account, contact
}

func (w *world) bring(customer domain.Customer) (activities.CustomerRef, error) {
	w.t.Helper()
	sale := domain.Sale{OrderID: "order1", Customer: customer}
	return persist[activities.CustomerRef](w, w.write.BringCustomer, activities.BringCustomerInput{
		Location: w.ghl.Location(), ExtID: sale.CustomerExtID(), Customer: customer,
	})
}

func TestACustomerIsFoundOrMade(t *testing.T) {
	const ext = "ghl:contact:c1"
	ada := domain.Customer{ContactID: "c1", FirstName: "Ada", LastName: "Byron", Email: " Ada@Example.com", Country: "gb"}
	mail := map[string]any{"email": "ADA@example.com"}
	with := func(fields map[string]any, more ...any) map[string]any {
		all := map[string]any{}
		for name, value := range fields {
			all[name] = value
		}
		for i := 0; i < len(more); i += 2 {
			all[more[i].(string)] = more[i+1]
		}
		return all
	}
	for name, c := range map[string]struct {
		customer           domain.Customer
		prepare            func(w *world) (account, contact int64) // what is to be used; 0 is a new one
		outcome            activities.Outcome
		accounts, contacts int // made by us
	}{
		"new":                             {ada, nil, activities.Created, 1, 1},
		"nothing but an id":               {domain.Customer{ContactID: "c1"}, nil, activities.Created, 1, 1},
		"a guest, known by the order":     {domain.Customer{}, nil, activities.Created, 1, 1},
		"an address that can't be sought": {domain.Customer{ContactID: "c1", Email: `a\b@example.com`}, nil, activities.Created, 1, 1},
		"by external id": {ada, func(w *world) (int64, int64) {
			a, c := w.person(0, map[string]any{"extId": ext})
			w.set("accounts", a, "extId", ext)
			return a, c
		}, activities.Unchanged, 0, 0},
		"contact by external id only": {ada, func(w *world) (int64, int64) { return w.person(0, map[string]any{"extId": ext}) }, activities.Updated, 0, 0},
		"contact by e-mail":           {ada, func(w *world) (int64, int64) { return w.person(0, mail) }, activities.Updated, 0, 0},
		"account by e-mail":           {ada, func(w *world) (int64, int64) { return w.theirAccount(), 0 }, activities.Updated, 0, 1},
		"account claimed, contact not yet": {ada, func(w *world) (int64, int64) {
			a, c := w.person(0, mail)
			w.set("accounts", a, "extId", ext)
			return a, c
		}, activities.Updated, 0, 0},
		"read-only": {ada, func(w *world) (int64, int64) {
			a, c := w.person(0, with(mail, "readOnly", true))
			w.set("accounts", a, "readOnly", true)
			return a, c
		}, activities.Unchanged, 0, 0},
		"another's contact of the address": {ada, func(w *world) (int64, int64) {
			a, c := w.person(0, with(mail, "extId", "ghl:contact:c2"))
			w.set("accounts", a, "extId", "ghl:contact:c2")
			return a, c
		}, activities.Unchanged, 0, 0},
		"a free one before another's": {ada, func(w *world) (int64, int64) {
			w.person(0, with(mail, "extId", "ghl:contact:c2"))
			return w.person(0, mail)
		}, activities.Updated, 0, 0},
		"deleted contact": {ada, func(w *world) (int64, int64) {
			a, c := w.person(0, with(mail, "extId", ext))
			w.set("accounts", a, "extId", ext)
			require.NoError(w.t, w.sage.PeopleDelete("contacts", c))
			return a, 0
		}, activities.Updated, 0, 1},
		"contact of a deleted account": {ada, func(w *world) (int64, int64) {
			a, _ := w.person(0, with(mail, "extId", ext))
			require.NoError(w.t, w.sage.PeopleDelete("accounts", a))
			return 0, 0
		}, activities.Created, 1, 1},
		"one of a deleted account, one of a live one": {ada, func(w *world) (int64, int64) {
			a, _ := w.person(0, mail)
			require.NoError(w.t, w.sage.PeopleDelete("accounts", a))
			return w.person(0, mail)
		}, activities.Updated, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, worldOptions{})
			var account, contact int64
			if c.prepare != nil {
				account, contact = c.prepare(w)
			}
			w.sage.ResetWrites()
			ref, err := w.bring(c.customer)
			require.NoError(t, err)
			require.Equal(t, c.outcome, ref.Outcome)
			if account != 0 {
				require.Equal(t, account, ref.AccountID)
			}
			if contact != 0 {
				require.Equal(t, contact, ref.ContactID)
			}
			made := map[string]int{}
			for _, write := range w.sage.Writes() {
				made[write.Op]++
				if write.Op == "sage.accounts.update" || write.Op == "sage.contacts.update" {
					require.Equal(t, []string{"extId"}, write.Fields, "what people wrote is left alone")
				}
			}
			require.Equal(t, c.accounts, made["sage.accounts.create"])
			require.Equal(t, c.contacts, made["sage.contacts.create"])
			w.sage.ResetWrites()
			w.loseLedger()
			again, err := w.bring(c.customer)
			require.NoError(t, err)
			require.Empty(t, w.sage.Writes(), "nothing is written twice, though nothing is remembered")
			require.Equal(t, [2]int64{ref.AccountID, ref.ContactID}, [2]int64{again.AccountID, again.ContactID})
		})
	}
}

func (w *world) set(resource string, id int64, field string, value any) {
	w.t.Helper()
	require.NoError(w.t, w.sage.PeopleUpdate(resource, id, map[string]any{field: value}))
}

func TestACustomerWhoseMakingWasCutIsNotMadeTwice(t *testing.T) {
	for _, op := range []string{"sage.accounts.create", "sage.contacts.create"} {
		t.Run(op, func(t *testing.T) {
			w := newWorld(t, worldOptions{})
			w.faults.Next(op, faults.Fault{Kind: faults.CutAfter}, faults.Fault{Kind: faults.CutAfter})
			_, err := w.bring(domain.Customer{ContactID: "c1", FirstName: "Ada", Email: "ada@example.com"})
			require.NoError(t, err)
			require.Len(t, w.sage.Live("accounts"), 1)
			require.Len(t, w.sage.Live("contacts"), 1)
			require.Equal(t, 1, w.sage.CallCount(op), "it was looked for, not made again")
		})
	}
}
