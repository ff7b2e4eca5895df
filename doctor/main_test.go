package doctor

import (
	"testing"

	"github.com/spillway/spillway/test/leaks"
)

func TestMain(m *testing.M) { leaks.Verify(m) }
