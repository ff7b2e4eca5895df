package app

// RemoteConfig locates services that other processes serve.
type RemoteConfig struct{}

// url is the URL of a service; empty if it has none.
func (RemoteConfig) url(string) string { return "" }
