package secret

import (
	"fmt"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/proto"
)

// The metadata of a sealed payload, by the names that Temporal's own samples use, so that tools know it as encrypted.
const (
	metadataKeyID     = "encryption-key-id"
	encodingEncrypted = "binary/encrypted"
)

// payloadPurpose binds sealed payloads to being payloads. It names neither workflow nor namespace: Temporal hands
// payloads on, from a parent to its child and from an activity to its workflow.
const payloadPurpose = "temporal payload v1:"

// Codec seals the payloads of Temporal. It implements converter.PayloadCodec.
type Codec struct{ ring *Ring }

// NewCodec makes a codec that seals with the ring's current key.
func NewCodec(ring *Ring) *Codec { return &Codec{ring: ring} }

// Encode seals payloads. One that is sealed already is left as it is.
func (c *Codec) Encode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	out := make([]*commonpb.Payload, len(payloads))
	for i, p := range payloads {
		if sealedPayload(p) {
			out[i] = p
			continue
		}
		plain, err := proto.Marshal(p)
		if err != nil {
			return nil, fmt.Errorf("seal a payload: %w", err)
		}
		id := c.ring.current
		out[i] = &commonpb.Payload{
			Metadata: map[string][]byte{converter.MetadataEncoding: []byte(encodingEncrypted), metadataKeyID: []byte(id)},
			Data:     c.ring.keys[id].aead.Seal(nil, nil, plain, []byte(payloadPurpose+id)), //nolint:gosec // the cipher makes the nonce itself
		}
	}
	return out, nil
}

// Decode opens payloads. One that is not ours is left as it is, so that what other programs or earlier settings wrote
// stays readable.
func (c *Codec) Decode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	out := make([]*commonpb.Payload, len(payloads))
	for i, p := range payloads {
		if !sealedPayload(p) {
			out[i] = p
			continue
		}
		id := string(p.GetMetadata()[metadataKeyID])
		plain, err := c.ring.open(id, p.GetData(), []byte(payloadPurpose+id))
		if err != nil {
			return nil, fmt.Errorf("open a payload: %w", err)
		}
		out[i] = &commonpb.Payload{}
		if err := proto.Unmarshal(plain, out[i]); err != nil {
			return nil, fmt.Errorf("open a payload: %w", err)
		}
	}
	return out, nil
}

// PayloadKey is the id of the key that sealed a payload, empty for one that is not sealed.
func PayloadKey(p *commonpb.Payload) string {
	if !sealedPayload(p) {
		return ""
	}
	return string(p.GetMetadata()[metadataKeyID])
}

func sealedPayload(p *commonpb.Payload) bool {
	_, named := p.GetMetadata()[metadataKeyID]
	return named && string(p.GetMetadata()[converter.MetadataEncoding]) == encodingEncrypted
}

// DataConverter is the SDK's own converter behind the codec. Client and worker must both have it.
func DataConverter(ring *Ring) converter.DataConverter {
	return converter.NewCodecDataConverter(converter.GetDefaultDataConverter(), NewCodec(ring))
}

// FailureConverter seals the messages and stack traces of errors too, which Temporal keeps in the clear by default.
func FailureConverter(ring *Ring) converter.FailureConverter {
	return temporal.NewDefaultFailureConverter(temporal.DefaultFailureConverterOptions{
		DataConverter:          DataConverter(ring),
		EncodeCommonAttributes: true,
	})
}
