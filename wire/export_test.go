package wire

// The two ways to read a snapshot, and to make one, which tests compare.
var (
	AppendSnapshot           = appendSnapshot
	MarshalSnapshotByProto   = marshalSnapshot
	ScanSnapshot             = scanSnapshot
	UnmarshalSnapshotByProto = unmarshalSnapshot
)
