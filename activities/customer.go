package activities

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/clients/transport"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
)

// CustomerRef is a customer as Sage knows it.
type CustomerRef struct {
	AccountID int64   `json:"accountId"`
	ContactID int64   `json:"contactId"`
	Outcome   Outcome `json:"outcome"`
}

// BringCustomerInput is a customer to be found or made at Sage.
type BringCustomerInput struct {
	Location string `json:"location"`
	// ExtID is the customer's identity: of the HighLevel contact, or of a guest's order.
	ExtID    string          `json:"extId"`
	Customer domain.Customer `json:"customer"`
}

// BringCustomer makes sure that Sage has one account and one contact for a customer: those with the customer's external
// id, else those with the customer's e-mail address, else new ones. What people wrote on them is left alone; an external
// id is added where there is none.
func (a *Sage) BringCustomer(ctx context.Context, in BringCustomerInput) (CustomerRef, error) {
	ctx, stop := alive(ctx)
	defer stop()
	ref, err := a.bringCustomer(ctx, in)
	return ref, a.fail(ctx, err)
}

func (a *Sage) bringCustomer(ctx context.Context, in BringCustomerInput) (CustomerRef, error) {
	conn, err := a.connect(ctx, in.Location)
	if err != nil {
		return CustomerRef{}, err
	}
	// Two orders of a new customer may come here at once. The claims let one of them make the customer; the e-mail's
	// claim does the same for two contacts of one address.
	claim, err := a.claim(ctx, in.Location, customerClaims(in)...)
	if err != nil {
		return CustomerRef{}, err
	}
	ref, err := a.ensureCustomer(ctx, conn, claim, in)
	return ref, conn.settles(claim.release(ctx, err))
}

func customerClaims(in BringCustomerInput) []string {
	claims := []string{in.ExtID}
	if email := normalEmail(in.Customer.Email); email != "" {
		sum := sha256.Sum256([]byte(email)) // the claim is stored, the address must not be
		claims = append(claims, "email:"+hex.EncodeToString(sum[:12]))
	}
	return claims
}

func (a *Sage) ensureCustomer(
	ctx context.Context, conn *connection, claim *held, in BringCustomerInput,
) (CustomerRef, error) {
	known, err := knownCustomer(ctx, a.Store, in.Location, in.ExtID)
	if err != nil || known != nil {
		return orZero(known), err
	}
	found, err := a.findCustomer(ctx, conn, in)
	if err != nil {
		return CustomerRef{}, err
	}
	ref := CustomerRef{Outcome: Unchanged}
	if err := claim.renew(ctx); err != nil {
		return ref, err
	}
	doing(ctx, "bringing the account")
	if ref.AccountID, err = ensureAccount(ctx, conn, in, found.account, &ref.Outcome); err != nil {
		return ref, err
	}
	if err := claim.renew(ctx); err != nil {
		return ref, err
	}
	doing(ctx, "bringing the contact")
	if ref.ContactID, err = ensureContact(ctx, conn, in, ref.AccountID, found.contact, &ref.Outcome); err != nil {
		return ref, err
	}
	return ref, a.Store.PutLinks(ctx,
		store.Link{Location: in.Location, Kind: store.Account, ExtID: in.ExtID, SageID: ref.AccountID},
		store.Link{Location: in.Location, Kind: store.Contact, ExtID: in.ExtID, SageID: ref.ContactID})
}

// knownCustomer gives the customer that the store remembers, nil if it remembers none.
func knownCustomer(ctx context.Context, s *store.Store, location, extID string) (*CustomerRef, error) {
	accounts, err := s.Links(ctx, location, store.Account, extID)
	if err != nil {
		return nil, err
	}
	contacts, err := s.Links(ctx, location, store.Contact, extID)
	if err != nil {
		return nil, err
	}
	account, contact := accounts[extID].SageID, contacts[extID].SageID
	if account == 0 || contact == 0 {
		return nil, nil //nolint:nilnil // nothing remembered is an ordinary answer
	}
	return &CustomerRef{AccountID: account, ContactID: contact, Outcome: Unchanged}, nil
}

func orZero(ref *CustomerRef) CustomerRef {
	if ref == nil {
		return CustomerRef{}
	}
	return *ref
}

// foundCustomer is what Sage has already; either may be nil.
type foundCustomer struct {
	account *sage.Account
	contact *sage.Contact
}

// findCustomer looks by external id and then by e-mail. A person may stand in Sage as a contact of a company whose own
// address is another one, so contacts are looked at before accounts. A contact is looked for even where the account is
// found: a step may have died between the two.
func (a *Sage) findCustomer(ctx context.Context, conn *connection, in BringCustomerInput) (foundCustomer, error) {
	var found foundCustomer
	doing(ctx, "looking for the customer")
	accounts, err := conn.Accounts.FindByExtID(ctx, in.ExtID)
	if err != nil {
		return found, err
	}
	contacts, err := conn.Contacts.FindByExtID(ctx, in.ExtID)
	if err != nil {
		return found, err
	}
	a.reportDuplicates(ctx, in, len(accounts.Duplicates)+len(contacts.Duplicates))
	found.account = accounts.Live
	if contacts.Live != nil {
		if err := found.choose(ctx, conn, append([]sage.Contact{*contacts.Live}, contacts.Duplicates...)); err != nil {
			return found, err
		}
	}
	if found.contact == nil {
		byEmail, err := contactsByEmail(ctx, conn, in.Customer.Email)
		if err != nil {
			return found, err
		}
		if err := found.choose(ctx, conn, byEmail); err != nil {
			return found, err
		}
	}
	if found.account == nil {
		found.account, err = accountByEmail(ctx, conn, in.Customer.Email)
	}
	return found, err
}

// choose takes the first of the contacts that belongs to the account found or, while there is none, whose account is
// not deleted; that account is then the one found.
func (f *foundCustomer) choose(ctx context.Context, conn *connection, contacts []sage.Contact) error {
	for i := range contacts {
		account := f.account
		if account == nil {
			var err error
			if account, err = accountOf(ctx, conn, contacts[i]); err != nil {
				return err
			}
		}
		if account != nil && contacts[i].AccountID.ID == account.ID {
			f.account, f.contact = account, &contacts[i]
			return nil
		}
	}
	return nil
}

func contactsByEmail(ctx context.Context, conn *connection, email string) ([]sage.Contact, error) {
	if normalEmail(email) == "" {
		return nil, nil
	}
	rows, err := conn.Contacts.Find(ctx, emailFilter(email))
	if err != nil {
		return nil, searchable(err)
	}
	rows = slices.DeleteFunc(rows, func(c sage.Contact) bool { return bool(c.Deleted) || !sameEmail(c.Email, email) })
	freeFirst(rows, func(c sage.Contact) string { return c.ExtID })
	return rows, nil
}

func accountByEmail(ctx context.Context, conn *connection, email string) (*sage.Account, error) {
	if normalEmail(email) == "" {
		return nil, nil //nolint:nilnil // nothing to look for is an ordinary answer
	}
	rows, err := conn.Accounts.Find(ctx, emailFilter(email))
	if err != nil {
		return nil, searchable(err)
	}
	rows = slices.DeleteFunc(rows, func(c sage.Account) bool { return bool(c.Deleted) || !sameEmail(c.Email, email) })
	if len(rows) == 0 {
		return nil, nil //nolint:nilnil // no account is an ordinary answer
	}
	freeFirst(rows, func(c sage.Account) string { return c.ExtID })
	return &rows[0], nil
}

// searchable lets an address pass that cannot be put into a filter (A49): then it cannot be found, which is no reason to keep
// its owner's orders out of the books.
func searchable(err error) error {
	if errors.Is(err, transport.ErrInvalidCall) {
		return nil
	}
	return err
}

// freeFirst puts records that bear no external id yet before the others. Rows come in ascending order of ids, and among
// equals it stays so.
func freeFirst[T any](rows []T, extID func(T) string) {
	slices.SortStableFunc(rows, func(a, b T) int {
		return cmp.Compare(min(1, len(extID(a))), min(1, len(extID(b))))
	})
}

// accountOf reads the account of a contact, nil if it is deleted.
func accountOf(ctx context.Context, conn *connection, contact sage.Contact) (*sage.Account, error) {
	account, found, err := conn.Accounts.Lookup(ctx, contact.AccountID.ID)
	if err != nil || !found || bool(account.Deleted) {
		return nil, err
	}
	return &account, nil
}

func ensureAccount(
	ctx context.Context, conn *connection, in BringCustomerInput, found *sage.Account, outcome *Outcome,
) (int64, error) {
	if found != nil {
		if found.ExtID == "" && found.Locked() == "" {
			*outcome = Updated
			return found.ID, conn.Accounts.Update(ctx, found.ID, sage.AccountFields{ExtID: &in.ExtID})
		}
		return found.ID, nil
	}
	fields, err := conn.newAccount(ctx, in)
	if err != nil {
		return 0, err
	}
	*outcome = Created
	return conn.Accounts.Create(ctx, fields)
}

func ensureContact(
	ctx context.Context, conn *connection, in BringCustomerInput, account int64, found *sage.Contact, outcome *Outcome,
) (int64, error) {
	if found != nil && found.AccountID.ID == account {
		if found.ExtID == "" && found.Locked() == "" {
			*outcome = Updated
			return found.ID, conn.Contacts.Update(ctx, found.ID, sage.ContactFields{ExtID: &in.ExtID})
		}
		return found.ID, nil
	}
	if *outcome == Unchanged {
		*outcome = Updated
	}
	return conn.Contacts.Create(ctx, conn.newContact(in, account))
}

// The lengths that Sage's published schemas give, and for fields whose length is published nowhere a cautious one (A65).
const (
	nameLength    = 50
	emailLength   = 100
	phoneLength   = 50
	addressLength = 180
	cityLength    = 200
)

func (c *connection) newAccount(ctx context.Context, in BringCustomerInput) (sage.AccountFields, error) {
	p := in.Customer
	name := p.Company
	if name == "" {
		name = p.FullName()
	}
	if name == "" {
		name = "HighLevel customer " + shortIdentity(in.ExtID)
	}
	fields := sage.AccountFields{
		ExtID: &in.ExtID, Name: text(name, nameLength), Email: text(p.Email, emailLength), Phone: text(p.Phone, phoneLength),
		Address1: text(p.Address, addressLength), City: text(p.City, cityLength), Region: text(p.Region, cityLength),
		Postcode: text(p.Postcode, phoneLength), BranchID: &c.tenant.branch, SalesRepID: &c.tenant.salesRep,
		Extra: c.tenant.defaults(accountsResource),
	}
	country, known, err := c.Catalog.Country(ctx, p.Country)
	if known {
		fields.CountryID = &country
	}
	return fields, err
}

func (c *connection) newContact(in BringCustomerInput, account int64) sage.ContactFields {
	p := in.Customer
	first, last := p.FirstName, p.LastName
	if last == "" {
		last = "HighLevel contact " + shortIdentity(in.ExtID)
	}
	if first == "" {
		first = "-" // Sage requires a first name (A66)
	}
	return sage.ContactFields{
		ExtID: &in.ExtID, AccountID: &account, FirstName: text(first, nameLength), LastName: text(last, nameLength),
		Email: text(p.Email, emailLength), Phone1: text(p.Phone, phoneLength), SalesRepID: &c.tenant.salesRep,
		Extra: c.tenant.defaults(contactsResource),
	}
}

func (a *Sage) reportDuplicates(ctx context.Context, in BringCustomerInput, duplicates int) {
	if duplicates > 0 {
		logger(ctx).Warn("Sage holds a customer more than once; the oldest is used, merge the others",
			"location", in.Location, "extId", in.ExtID, "duplicates", duplicates)
	}
}

func shortIdentity(extID string) string { return extID[strings.LastIndex(extID, ":")+1:] }

func normalEmail(email string) string { return strings.ToLower(strings.TrimSpace(email)) }

func sameEmail(a, b string) bool { return normalEmail(a) == normalEmail(b) }

// emailFilter asks for the address as given and in lower case; whether Sage regards case is documented nowhere
// (A50).
func emailFilter(email string) sage.Where {
	given, lower := strings.TrimSpace(email), normalEmail(email)
	if given == lower {
		return sage.Eq("email", lower)
	}
	return sage.In("email", given, lower)
}

// text gives a field its value cut to so many characters, or nothing to send when there is none.
func text(value string, length int) *string {
	value = strings.TrimSpace(value)
	if value == "" {
		return nil
	}
	value = clip(value, length)
	return &value
}

func clip(value string, length int) string {
	if runes := []rune(value); len(runes) > length {
		return string(runes[:length])
	}
	return value
}
