package intake

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// NamedTwice tells whether one of the telling fields, given in small letters, stands twice at the top of an object, in
// whatever case, as the decoder takes names in any. The decoder takes the last, another reader the first: which was meant
// cannot be known then.
func NamedTwice(raw []byte, telling map[string]bool) bool {
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
