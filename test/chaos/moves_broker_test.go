package chaos

func brokerScenarios() []scenario {
	return []scenario{{
		name: "broker-power",
		moves: []move{
			{kind: "broker-power", name: "the broker came back after a power cut", do: (*round).cutPower},
		},
	}}
}

// cutPower restarts the broker with the files that it had a second or so ago, as after a power cut: it has forgotten messages that it
// accepted, and acknowledgements.
func (r *round) cutPower() {
	r.await(flowTimeout, "the broker to have messages", r.broker.HasMessages)
	r.broker.Copy()
	r.pause(olderBy + upTo(r.rng, olderMore))
	r.broker.RestartFromCopy()
}
