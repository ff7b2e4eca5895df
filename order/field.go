package order

import "errors"

// FieldError is the error of one field of a request.
type FieldError struct {
	// Field is the path in the JSON of the request, such as lines[0].quantity.
	Field string
	Err   error
}

// Error begins with the field's path.
func (e *FieldError) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap lets errors.Is see the class.
func (e *FieldError) Unwrap() error { return e.Err }

// InField adds the field to an ErrInvalid about its value; errors of other classes, and nil, stay as they are.
func InField(field string, err error) error {
	if errors.Is(err, ErrInvalid) {
		return &FieldError{Field: field, Err: err}
	}
	return err
}
