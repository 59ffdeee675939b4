package ghl

import (
	"net/http"
	"strings"
	"time"
)

// Contact is a customer of a location. Only ID and LocationID are always there.
type Contact struct {
	ID          string   `json:"id"`
	LocationID  string   `json:"locationId"`
	FirstName   string   `json:"firstName,omitempty"`
	LastName    string   `json:"lastName,omitempty"`
	Name        string   `json:"name,omitempty"`
	Email       string   `json:"email,omitempty"`
	Phone       string   `json:"phone,omitempty"`
	CompanyName string   `json:"companyName,omitempty"`
	Address1    string   `json:"address1,omitempty"`
	City        string   `json:"city,omitempty"`
	State       string   `json:"state,omitempty"`
	PostalCode  string   `json:"postalCode,omitempty"`
	Country     string   `json:"country,omitempty"`
	Website     string   `json:"website,omitempty"`
	Source      string   `json:"source,omitempty"`
	DND         bool     `json:"dnd"`
	Tags        []string `json:"tags"`

	DateAdded   time.Time `json:"-"`
	DateUpdated time.Time `json:"-"`
}

// fullName is the name as order lists show it.
func (c *Contact) fullName() string {
	if c.Name != "" {
		return c.Name
	}
	return strings.TrimSpace(c.FirstName + " " + c.LastName)
}

// AddContact adds a customer; an empty ID or LocationID is filled in. It returns the id.
func (s *Server) AddContact(c Contact) string {
	s.mu.Lock()
	c = s.putContact(c)
	s.mu.Unlock()
	s.send("ContactCreate", c.ID)
	return c.ID
}

// putContact keeps a customer, with what was left out filled in.
func (s *Server) putContact(c Contact) Contact {
	if c.ID == "" {
		c.ID = s.newShortID("contact")
	}
	if c.LocationID == "" {
		c.LocationID = s.opts.LocationID
	}
	if c.Tags == nil {
		c.Tags = []string{}
	}
	if c.DateAdded.IsZero() {
		c.DateAdded = s.now()
	}
	c.DateUpdated = c.DateAdded
	s.contacts[c.ID] = &c
	return c
}

// EditContact changes a customer. It reports whether there is one.
func (s *Server) EditContact(id string, edit func(*Contact)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.contacts[id]
	if c == nil {
		return false
	}
	edit(c)
	c.DateUpdated = later(c.DateUpdated, s.now())
	return true
}

// Contact gives a customer, and false if there is none.
func (s *Server) Contact(id string) (Contact, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if c := s.contacts[id]; c != nil {
		return *c, true
	}
	return Contact{}, false
}

func (s *Server) contactRoutes() {
	s.handle(operation{method: http.MethodGet, path: "/contacts/{contactId}", name: "ghl.contacts.get",
		scope: "contacts.readonly"}, s.getContact)
}

func (s *Server) getContact(c call) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	found := s.contacts[c.r.PathValue("contactId")]
	switch {
	case found == nil:
		answerError(c.w, http.StatusBadRequest, "Contact not found", "")
	case found.LocationID != c.loc.id:
		answerError(c.w, http.StatusForbidden, "The token does not have access to this location.", "")
	default:
		doc := found.document()
		doc["dateUpdated"] = stamp(found.DateUpdated)
		doc["customFields"] = []any{}
		doc["emailLowerCase"] = strings.ToLower(found.Email)
		answerJSON(c.w, map[string]any{"contact": doc})
	}
}

// document is the contact as snapshots and webhooks show it: what is empty is left out.
func (c *Contact) document() map[string]any {
	doc := map[string]any{"id": c.ID, "locationId": c.LocationID, "dnd": c.DND, "tags": c.Tags,
		"dateAdded": stamp(c.DateAdded)}
	for name, v := range map[string]string{"firstName": c.FirstName, "lastName": c.LastName, "name": c.Name,
		"email": c.Email, "phone": c.Phone, "companyName": c.CompanyName, "address1": c.Address1, "city": c.City,
		"state": c.State, "postalCode": c.PostalCode, "country": c.Country, "website": c.Website, "source": c.Source} {
		if v != "" {
			doc[name] = v
		}
	}
	return doc
}

// later makes sure that a change renews a time even within one millisecond.
func later(before, now time.Time) time.Time {
	if now.After(before) {
		return now
	}
	return before.Add(time.Millisecond)
}
