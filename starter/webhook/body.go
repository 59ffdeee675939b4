package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tallystick/tallystick/connections"
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
	if namedTwice(raw) {
		return body{}, errors.New("the body says twice which object, location or app it is about")
	}
	return *b, nil
}

// telling are the fields by which an event is acted upon, in small letters.
var telling = map[string]bool{
	"type": true, "locationid": true, "altid": true, "alttype": true, "_id": true, "id": true, "appid": true, "companyid": true,
}

// namedTwice tells whether one of the telling fields stands twice at the top of an object, in whatever case, as the
// decoder takes names in any. The decoder takes the last, another reader the first: which was meant cannot be known then.
func namedTwice(raw []byte) bool {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if _, err := decoder.Token(); err != nil {
		return false
	}
	seen := map[string]bool{}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return false
		}
		plain := strings.ToLower(fmt.Sprint(name))
		if seen[plain] {
			return true
		}
		seen[plain] = telling[plain]
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return false
		}
	}
	return false
}

// object is the id of the order or invoice.
func (b body) object() (string, error) {
	id := string(b.UnderID)
	if id == "" {
		id = string(b.ID)
	}
	if err := CheckID(id); err != nil {
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
	if err := CheckID(id); err != nil {
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
	if err := CheckID(e.AppID); err != nil {
		return e, fmt.Errorf("appId: %w", err)
	}
	if e.Company == "" && e.Location == "" {
		return e, errors.New("the body names neither a location nor a company")
	}
	for name, id := range map[string]string{"companyId": e.Company, "locationId": e.Location} {
		if err := CheckID(id); id != "" && err != nil {
			return e, fmt.Errorf("%s: %w", name, err)
		}
	}
	return e, nil
}

// eventID is the sender's id of the event, empty when there is none that may be kept.
func (b body) eventID() string {
	if CheckID(string(b.WebhookID)) != nil {
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

const longestID = 100

// CheckID returns an error that says what is wrong with an id of a location, order or invoice, without showing it. It
// holds ids to what HighLevel makes them of (letters and digits, with dashes in a UUID) and a little more: they become
// part of workflow ids and of visibility queries, so neither a slash nor a quote nor a blank may be in them.
func CheckID(id string) error {
	if id == "" {
		return errors.New("missing")
	}
	if len(id) > longestID {
		return fmt.Errorf("longer than %d characters", longestID)
	}
	for i := range len(id) {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == ':':
		default:
			return errors.New("holds a character that no id of HighLevel has")
		}
	}
	return nil
}
