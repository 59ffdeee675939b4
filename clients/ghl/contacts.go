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

// ContactInput is what a contact shall have. What is empty is not sent.
//
// It has no tags on purpose: with an upsert HighLevel puts the tags sent in the place of all tags the contact has (A33), and
// automations hang on tags. AddTags adds.
type ContactInput struct {
	// Email or Phone is required: by them HighLevel finds the contact, in the order of the location's setting "Allow
	// Duplicate Contact".
	Email, Phone                  string
	FirstName, LastName           string
	CompanyName                   string
	Address, City, State, Country string
	PostalCode, Website           string
	// Source says where the contact came from.
	Source string
	Fields []CustomField
}

// CustomField is the value of a field that the location made up. It is named by its id, not by its key.
type CustomField struct{ ID, Value string }

// Upsert changes the contact with this e-mail address or phone number, or makes it, and tells whether it made it.
// Repeating it does no harm.
func (s *Contacts) Upsert(ctx context.Context, in ContactInput) (contact Contact, made bool, err error) {
	if in.Email == "" && in.Phone == "" {
		return Contact{}, false, wrong(contactsUpsert, "it has neither an e-mail address nor a phone number to find the contact by")
	}
	body := contactBody{
		LocationID: s.api.location, Email: in.Email, Phone: in.Phone, FirstName: in.FirstName, LastName: in.LastName,
		CompanyName: in.CompanyName, Address1: in.Address, City: in.City, State: in.State, Country: in.Country,
		PostalCode: in.PostalCode, Website: in.Website, Source: in.Source,
	}
	for _, f := range in.Fields {
		if err := need(contactsUpsert, "the id of a custom field", f.ID); err != nil {
			return Contact{}, false, err
		}
		body.CustomFields = append(body.CustomFields, fieldBody(f))
	}
	type upserted struct {
		contact Contact
		made    bool
	}
	got, err := call(ctx, s.api, contactsUpsert, request{body: body}, func(data []byte) (upserted, error) {
		var w struct {
			New flag `json:"new"`
		}
		if err := unmarshal(data, &w); err != nil {
			return upserted{}, fmt.Errorf("contact: %w", err)
		}
		contact, err := DecodeContact(data)
		return upserted{contact, w.New.on}, err
	})
	return got.contact, got.made, err
}

// FindDuplicate looks for the contact that HighLevel would take for the one with this e-mail address or phone number; one
// of them may be empty. HighLevel documents no answer: {contact: …} with an object or null was seen
// (A32).
func (s *Contacts) FindDuplicate(ctx context.Context, email, phone string) (contact Contact, found bool, err error) {
	if email == "" && phone == "" {
		return Contact{}, false, wrong(contactsDuplicate, "it has neither an e-mail address nor a phone number to look for")
	}
	query := s.api.byLocation()
	setText(query, "email", email)
	setText(query, "number", phone)
	contact, err = call(ctx, s.api, contactsDuplicate, request{query: query}, func(data []byte) (Contact, error) {
		var w map[string]json.RawMessage
		if err := unmarshal(data, &w); err != nil {
			return Contact{}, fmt.Errorf("contact: %w", err)
		}
		if string(w["contact"]) == "null" {
			return Contact{}, nil
		}
		return DecodeContact(data)
	})
	return contact, contact.ID != "", err
}

// AddTags adds tags and keeps those that the contact has. It gives all tags that the contact has then, as far as HighLevel
// tells them.
func (s *Contacts) AddTags(ctx context.Context, contactID string, tags []string) ([]string, error) {
	if len(tags) == 0 {
		return nil, wrong(contactsAddTags, "it has no tags")
	}
	body := struct {
		Tags []string `json:"tags"`
	}{tags}
	r := request{params: map[string]string{"contactId": contactID}, body: body}
	return call(ctx, s.api, contactsAddTags, r, func(data []byte) ([]string, error) {
		var w struct {
			Tags list[text] `json:"tags"`
		}
		if err := json.Unmarshal(data, &w); err != nil {
			return nil, fmt.Errorf("tags: %w", err)
		}
		return texts(w.Tags), nil
	})
}

// Note is a remark on a contact, for people to read.
type Note struct {
	Title string
	// Body is required.
	Body   string
	Pinned bool
}

// AddNote writes a note on a contact and gives the note's id. Each call makes another one.
func (s *Contacts) AddNote(ctx context.Context, contactID string, note Note) (string, error) {
	if err := need(contactsAddNote, "the body", note.Body); err != nil {
		return "", err
	}
	body := struct {
		Title  string `json:"title,omitempty"`
		Body   string `json:"body"`
		Pinned bool   `json:"pinned,omitempty"`
	}{note.Title, note.Body, note.Pinned}
	r := request{params: map[string]string{"contactId": contactID}, body: body}
	return call(ctx, s.api, contactsAddNote, r, func(data []byte) (string, error) {
		var w struct {
			Note object[struct {
				ID text `json:"id"`
			}] `json:"note"`
		}
		if err := unmarshal(data, &w); err != nil {
			return "", fmt.Errorf("note: %w", err)
		}
		if w.Note.v.ID == "" {
			return "", fmt.Errorf("note: %w", errNoID)
		}
		return string(w.Note.v.ID), nil
	})
}

type contactBody struct {
	LocationID   string      `json:"locationId"`
	Email        string      `json:"email,omitempty"`
	Phone        string      `json:"phone,omitempty"`
	FirstName    string      `json:"firstName,omitempty"`
	LastName     string      `json:"lastName,omitempty"`
	CompanyName  string      `json:"companyName,omitempty"`
	Address1     string      `json:"address1,omitempty"`
	City         string      `json:"city,omitempty"`
	State        string      `json:"state,omitempty"`
	Country      string      `json:"country,omitempty"`
	PostalCode   string      `json:"postalCode,omitempty"`
	Website      string      `json:"website,omitempty"`
	Source       string      `json:"source,omitempty"`
	CustomFields []fieldBody `json:"customFields,omitempty"`
}

type fieldBody struct {
	ID    string `json:"id"`
	Value string `json:"field_value"`
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
