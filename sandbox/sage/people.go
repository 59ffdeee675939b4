package sage

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// PeopleCreate makes a record as a person in the web application would, by the API's field names: references are
// integers, amounts domain.Number or json.Number, dates texts. It is refused for the same reasons as over the API.
func (s *Server) PeopleCreate(resourceName string, fields map[string]any) (int64, error) {
	t, in, err := s.peopleInput(resourceName, fields)
	if err != nil {
		return 0, err
	}
	return s.create(t, in, actor{userID: s.Person(), byPeople: true})
}

// PeopleUpdate changes a record as a person would, protected ones included.
func (s *Server) PeopleUpdate(resourceName string, id int64, fields map[string]any) error {
	t, in, err := s.peopleInput(resourceName, fields)
	if err != nil {
		return err
	}
	return s.update(t, id, in, actor{userID: s.Person(), byPeople: true})
}

// PeopleDelete deletes a record as a person would.
func (s *Server) PeopleDelete(resourceName string, id int64) error {
	t := s.table(resourceName)
	if t == nil {
		return fmt.Errorf("sage sandbox: there is no resource %s", resourceName)
	}
	return s.remove(t, id, actor{userID: s.Person(), byPeople: true})
}

// peopleInput brings Go values into the form that a request has.
func (s *Server) peopleInput(resourceName string, fields map[string]any) (*table, map[string]any, error) {
	t := s.table(resourceName)
	if t == nil {
		return nil, nil, fmt.Errorf("sage sandbox: there is no resource %s", resourceName)
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		return nil, nil, fmt.Errorf("sage sandbox: the fields of %s are not to be written as JSON: %w", resourceName, err)
	}
	in, err := decodeObject(bytes.NewReader(raw))
	return t, in, err
}
