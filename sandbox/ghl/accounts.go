package ghl

import (
	"fmt"
	"slices"
	"time"
)

// DefaultCompany is the agency that locations belong to where nothing else is said.
const DefaultCompany = "tDtDnQdgm2LXpyiqYvZ6"

// installer is the id of the user who installs.
const installer = "l1C08ntBrFjLS0elLIYU"

// Company is an agency.
type Company struct{ ID, Name string }

// SubAccount is a location to be added. Only ID is needed.
type SubAccount struct {
	ID, Name, Address string
	// CompanyID is the agency's; DefaultCompany where it is empty.
	CompanyID string
	// Token is a private integration token that may see the location; without one, only OAuth opens it.
	Token string
	// Scopes are the private token's; nil is every scope.
	Scopes []string
}

// location is a sub-account.
type location struct {
	id, name, address, company string
	suspended                  bool
}

// install is that of the app on a location.
type install struct {
	at time.Time
	// user is who installed it; empty where HighLevel did, because an agency had said "all future locations".
	user     string
	byAgency bool
}

// agency is an install of the app on a company.
type agency struct {
	future, all bool // future locations, all present ones
	user        string
}

// AddCompany adds an agency, or renames one.
func (s *Server) AddCompany(c Company) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.companies[c.ID] = c.Name
}

// AddLocation adds a sub-account that the token may see, and no other.
func (s *Server) AddLocation(id, token string) { s.AddSubAccount(SubAccount{ID: id, Token: token}) }

// AddSubAccount adds a location. If its agency has the app for all future locations, it is installed there at once, and
// INSTALL is sent.
func (s *Server) AddSubAccount(a SubAccount) {
	if a.CompanyID == "" {
		a.CompanyID = DefaultCompany
	}
	if a.Name == "" {
		a.Name = "Location " + a.ID
	}
	if a.Address == "" {
		a.Address = "1 Sandbox Street, Springfield"
	}
	s.mu.Lock()
	l := &location{id: a.ID, name: a.Name, address: a.Address, company: a.CompanyID}
	s.locations[a.ID] = l
	if _, known := s.companies[a.CompanyID]; !known {
		s.companies[a.CompanyID] = "Agency " + a.CompanyID
	}
	if a.Token != "" {
		s.tokens[a.Token] = &caller{loc: l, company: l.company, scopes: a.Scopes}
	}
	var events []event
	if made := s.oauth.agencies[a.CompanyID]; made != nil && made.future {
		events = s.installOn(l, "", true)
	}
	s.mu.Unlock()
	s.sendAll(events)
}

// installOn makes an install and says what is to be sent.
func (s *Server) installOn(l *location, user string, byAgency bool) []event {
	if was := s.oauth.installs[l.id]; was == nil || !byAgency {
		s.oauth.installs[l.id] = &install{at: s.now(), user: user, byAgency: byAgency}
	}
	return []event{{"INSTALL", l.id}}
}

// Install installs the app on a location as a person would who allows these scopes (none is all of the app's), without
// the page and the code, and sends INSTALL. It returns the tokens.
func (s *Server) Install(locationID string, scopes ...string) (Pair, error) {
	s.mu.Lock()
	l := s.locations[locationID]
	if l == nil {
		s.mu.Unlock()
		return Pair{}, fmt.Errorf("%w: location %s", ErrUnknown, locationID)
	}
	if len(scopes) == 0 {
		scopes = s.opts.App.Scopes
	}
	events := s.installOn(l, installer, false)
	g := s.newGrant(grant{client: s.opts.App.ClientID, Pair: Pair{UserType: locationType, LocationID: l.id,
		CompanyID: l.company, Scopes: scopes}})
	pair := g.Pair
	s.mu.Unlock()
	s.sendAll(events)
	return pair, nil
}

// InstallCompany installs the app on an agency's locations (none named is all of them, and every future one), as
// Install does on one, and sends INSTALL for the agency and for each location.
func (s *Server) InstallCompany(companyID string, locations ...string) (Pair, error) {
	s.mu.Lock()
	all := len(locations) == 0
	events, err := s.installAgency(companyID, locations, all)
	if err != nil {
		s.mu.Unlock()
		return Pair{}, err
	}
	g := s.newGrant(grant{client: s.opts.App.ClientID, Pair: Pair{UserType: companyType, CompanyID: companyID,
		Scopes: s.opts.App.Scopes}})
	pair := g.Pair
	s.mu.Unlock()
	s.sendAll(events)
	return pair, nil
}

// installAgency installs on a company and the locations named, or on all it has.
func (s *Server) installAgency(companyID string, locations []string, future bool) ([]event, error) {
	if _, known := s.companies[companyID]; !known {
		return nil, fmt.Errorf("%w: company %s", ErrUnknown, companyID)
	}
	all := len(locations) == 0
	if all {
		locations = s.locationsOf(companyID)
	}
	for _, id := range locations {
		if l := s.locations[id]; l == nil || l.company != companyID {
			return nil, fmt.Errorf("%w: location %s of company %s", ErrUnknown, id, companyID)
		}
	}
	s.oauth.agencies[companyID] = &agency{future: future, all: all, user: installer}
	events := []event{{"INSTALL", companyID}}
	for _, id := range locations {
		events = append(events, s.installOn(s.locations[id], installer, true)...)
	}
	return events, nil
}

// locationsOf are the ids of an agency's locations, in order.
func (s *Server) locationsOf(companyID string) []string {
	var ids []string
	for id, l := range s.locations {
		if l.company == companyID {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// approved are the ids of an agency's locations that have the app.
func (s *Server) approved(companyID string) []string {
	return slices.DeleteFunc(s.locationsOf(companyID), func(id string) bool { return s.oauth.installs[id] == nil })
}

// Uninstall takes the app off a location: its tokens are dead, and UNINSTALL is sent.
func (s *Server) Uninstall(locationID string) error {
	s.mu.Lock()
	if s.oauth.installs[locationID] == nil {
		s.mu.Unlock()
		return fmt.Errorf("%w: an install on location %s", ErrUnknown, locationID)
	}
	s.removeFrom(locationID)
	s.mu.Unlock()
	s.send("UNINSTALL", locationID)
	return nil
}

// UninstallCompany takes the app off an agency and off the locations that have it from the agency. One UNINSTALL is
// sent, which names the company; whether HighLevel sends one for each location too is not published.
func (s *Server) UninstallCompany(companyID string) error {
	s.mu.Lock()
	if s.oauth.agencies[companyID] == nil {
		s.mu.Unlock()
		return fmt.Errorf("%w: an install on company %s", ErrUnknown, companyID)
	}
	delete(s.oauth.agencies, companyID)
	s.kill(OwnerOfCompany(companyID), false)
	for _, id := range s.locationsOf(companyID) {
		if in := s.oauth.installs[id]; in != nil && in.byAgency {
			s.removeFrom(id)
			continue
		}
		s.kill(OwnerOfLocation(id), true)
	}
	s.mu.Unlock()
	s.send("UNINSTALL", companyID)
	return nil
}

func (s *Server) removeFrom(locationID string) {
	delete(s.oauth.installs, locationID)
	s.kill(OwnerOfLocation(locationID), false)
}

// Suspend pauses a location, as an agency does whose client doesn't pay: refreshing its token and making one for it is
// answered "Location is not active". Access tokens live out their time. Reactivate ends it, and the refresh token that
// was refused is good again, as HighLevel publishes.
func (s *Server) Suspend(locationID string) error { return s.setSuspended(locationID, true) }

// Reactivate ends what Suspend began.
func (s *Server) Reactivate(locationID string) error { return s.setSuspended(locationID, false) }

func (s *Server) setSuspended(locationID string, suspended bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.locations[locationID]
	if l == nil {
		return fmt.Errorf("%w: location %s", ErrUnknown, locationID)
	}
	l.suspended = suspended
	return nil
}

// Location is one of the server's locations, for what happens there.
type Location struct {
	server *Server
	id     string
}

// In is the location of that id.
func (s *Server) In(locationID string) Location { return Location{s, locationID} }

// ID is the location's.
func (l Location) ID() string { return l.id }

// AddContact is Server.AddContact in this location.
func (l Location) AddContact(c Contact) string {
	c.LocationID = l.id
	return l.server.AddContact(c)
}

// AddProduct is Server.AddProduct in this location. Prices belong to their product, wherever it is.
func (l Location) AddProduct(p Product) string {
	p.LocationID = l.id
	return l.server.AddProduct(p)
}

// PlaceOrder is Server.PlaceOrder in this location. Payments follow their order.
func (l Location) PlaceOrder(in NewOrder) (Order, error) {
	in.LocationID = l.id
	return l.server.PlaceOrder(in)
}

// Orders gives the location's orders, oldest first.
func (l Location) Orders() []Order {
	return slices.DeleteFunc(l.server.Orders(), func(o Order) bool { return o.LocationID != l.id })
}

// QuotaUsed tells how many requests all apps together have made of the location today.
func (l Location) QuotaUsed() int { return l.server.quotas.used(l.id) }
