package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tallystick/tallystick/connections"
	"github.com/tallystick/tallystick/starter/intake"
)

// body is what is read of an event. HighLevel documents no field of it as required (A24), and types them loosely, so a field of
// another type counts as missing.
type body struct {
	Type       text `json:"type"`
	LocationID text `json:"locationId"`
	AltID      text `json:"altId"`
	AltType    text `json:"altType"`
	UnderID    text `json:"_id"`
	ID         text `json:"id"`
	WebhookID  text `json:"webhookId"`
	Timestamp  text `json:"timestamp"`
	// These are of installations only.
	AppID       text `json:"appId"`
	CompanyID   text `json:"companyId"`
	CompanyName text `json:"companyName"`
}

// text is a JSON string, or empty where the JSON holds anything else.
type text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *text) UnmarshalJSON(data []byte) error {
	*t = ""
	if len(data) == 0 || data[0] != '"' {
		return nil
	}
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	*t = text(s)
	return nil
}

func parseBody(raw []byte) (body, error) {
	var b *body
	if err := json.Unmarshal(raw, &b); err != nil || b == nil {
		// The decoder's own words may quote the body.
		return body{}, errors.New("the body is not a JSON object")
	}
	if intake.NamedTwice(raw, telling) {
		return body{}, errors.New("the body says twice which object, location or app it is about")
	}
	return *b, nil
}

// telling are the fields by which an event is acted upon, in small letters.
var telling = map[string]bool{
	"type": true, "locationid": true, "altid": true, "alttype": true, "_id": true, "id": true, "appid": true, "companyid": true,
}

// object is the id of the order or invoice.
func (b body) object() (string, error) {
	id := string(b.UnderID)
	if id == "" {
		id = string(b.ID)
	}
	if err := intake.CheckID(id); err != nil {
		return "", fmt.Errorf("_id: %w", err)
	}
	return id, nil
}

// location is the location the event belongs to, empty when the body does not tell. In HighLevel's own samples of
// invoice events altId repeats the id of the invoice: that names no location (A24). A body that names two belongs to none.
func (b body) location(object string) (string, error) {
	id := string(b.LocationID)
	if (b.AltType == "" || b.AltType == "location") && string(b.AltID) != object && b.AltID != "" {
		if id != "" && id != string(b.AltID) {
			return "", errors.New("locationId and altId name two locations")
		}
		id = string(b.AltID)
	}
	if id == "" {
		return "", nil
	}
	if err := intake.CheckID(id); err != nil {
		return "", fmt.Errorf("locationId: %w", err)
	}
	return id, nil
}

// installation is what an INSTALL or UNINSTALL tells. It must say which app it is about, and a location or an agency.
func (b body) installation() (connections.Event, error) {
	e := connections.Event{
		AppID: string(b.AppID), Company: string(b.CompanyID), Location: string(b.LocationID),
		Name: string(b.CompanyName), At: b.at(),
	}
	if err := intake.CheckID(e.AppID); err != nil {
		return e, fmt.Errorf("appId: %w", err)
	}
	if e.Company == "" && e.Location == "" {
		return e, errors.New("the body names neither a location nor a company")
	}
	for name, id := range map[string]string{"companyId": e.Company, "locationId": e.Location} {
		if err := intake.CheckID(id); id != "" && err != nil {
			return e, fmt.Errorf("%s: %w", name, err)
		}
	}
	return e, nil
}

// eventID is the sender's id of the event, empty when there is none that may be kept.
func (b body) eventID() string {
	if intake.CheckID(string(b.WebhookID)) != nil {
		return ""
	}
	return string(b.WebhookID)
}

// at is when the event happened, zero when the body does not tell.
func (b body) at() time.Time {
	at, err := time.Parse(time.RFC3339, string(b.Timestamp))
	if err != nil || at.Year() < 2000 || at.Year() > 9999 {
		return time.Time{}
	}
	return at.UTC()
}
