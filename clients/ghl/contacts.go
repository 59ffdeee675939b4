package ghl

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Contacts are the people of the location.
type Contacts struct{ api *api }

// Contact is a person: as kept in the location, or as of the time of a sale.
type Contact struct {
	ID         string `json:"id"`
	LocationID string `json:"locationId,omitempty"`
	// Name is the full name; it is put together from first and last name if HighLevel gave none.
	Name        string `json:"name,omitempty"`
	FirstName   string `json:"firstName,omitempty"`
	LastName    string `json:"lastName,omitempty"`
	CompanyName string `json:"companyName,omitempty"`
	Email       string `json:"email,omitempty"`
	Phone       string `json:"phone,omitempty"`
	Website     string `json:"website,omitempty"`
	Address     string `json:"address,omitempty"`
	City        string `json:"city,omitempty"`
	State       string `json:"state,omitempty"`
	PostalCode  string `json:"postalCode,omitempty"`
	// Country is an ISO 3166 code of two letters.
	Country   string    `json:"country,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
}

// Get reads one contact. IsNotFound tells that there is none, as after two contacts were merged.
func (s *Contacts) Get(ctx context.Context, id string) (Contact, error) {
	return get(ctx, s.api, contactsGet, "contactId", id, nil, DecodeContact)
}

// contactWire has every spelling: the API's own, the older one of snapshots, and that of invoices.
type contactWire struct {
	ID            text                `json:"id"`
	MongoID       text                `json:"_id"`
	LocationID    text                `json:"locationId"`
	LocationIDOld text                `json:"location_id"`
	Name          text                `json:"name"`
	FullNameOld   text                `json:"full_name"`
	FirstName     text                `json:"firstName"`
	FirstNameOld  text                `json:"first_name"`
	LastName      text                `json:"lastName"`
	LastNameOld   text                `json:"last_name"`
	Company       text                `json:"companyName"`
	CompanyOld    text                `json:"company_name"`
	Email         text                `json:"email"`
	Phone         text                `json:"phone"`
	PhoneNo       text                `json:"phoneNo"`
	Website       text                `json:"website"`
	Address1      text                `json:"address1"`
	Address       object[addressWire] `json:"address"`
	City          text                `json:"city"`
	State         text                `json:"state"`
	PostalCode    text                `json:"postalCode"`
	PostalCodeOld text                `json:"postal_code"`
	Country       text                `json:"country"`
	DateAdded     moment              `json:"dateAdded"`
	DateUpdated   moment              `json:"dateUpdated"`
}

// addressWire is the address of an invoice's contact.
type addressWire struct {
	Line1      text `json:"addressLine1"`
	City       text `json:"city"`
	State      text `json:"state"`
	PostalCode text `json:"postalCode"`
	Country    text `json:"countryCode"`
}

// DecodeContact reads a contact from an answer, in which it is wrapped, or from the body of a contact webhook.
func DecodeContact(data []byte) (Contact, error) {
	var wrapped struct {
		Contact json.RawMessage `json:"contact"`
	}
	if err := unmarshal(data, &wrapped); err != nil {
		return Contact{}, fmt.Errorf("contact: %w", err)
	}
	if len(wrapped.Contact) > 0 {
		data = wrapped.Contact
	}
	var w contactWire
	if err := unmarshal(data, &w); err != nil {
		return Contact{}, fmt.Errorf("contact: %w", err)
	}
	contact := w.fold()
	if contact.ID == "" {
		return Contact{}, fmt.Errorf("contact: %w", errNoID)
	}
	return contact, nil
}

func (w *contactWire) fold() Contact {
	address := w.Address.v
	c := Contact{
		ID: first(w.ID, w.MongoID), LocationID: first(w.LocationID, w.LocationIDOld),
		Name: first(w.Name, w.FullNameOld), FirstName: first(w.FirstName, w.FirstNameOld), LastName: first(w.LastName, w.LastNameOld),
		CompanyName: first(w.Company, w.CompanyOld), Email: string(w.Email), Phone: first(w.Phone, w.PhoneNo),
		Website: string(w.Website), Address: first(w.Address1, address.Line1), City: first(w.City, address.City),
		State: first(w.State, address.State), PostalCode: first(w.PostalCode, w.PostalCodeOld, address.PostalCode),
		Country: first(w.Country, address.Country), CreatedAt: w.DateAdded.Time, UpdatedAt: w.DateUpdated.Time,
	}
	if c.Name == "" {
		c.Name = joinNames(c.FirstName, c.LastName)
	}
	return c
}

func joinNames(firstName, lastName string) string {
	if firstName == "" || lastName == "" {
		return firstName + lastName
	}
	return firstName + " " + lastName
}

// addFlat fills what a list row says about the contact beside it, and makes both ids agree where one is missing.
func (c *Contact) addFlat(contactID *string, name, email text) {
	if *contactID == "" {
		*contactID = c.ID
	}
	if c.ID == "" {
		c.ID = *contactID
	}
	if c.Name == "" {
		c.Name = string(name)
	}
	if c.Email == "" {
		c.Email = string(email)
	}
}
