// Messages to frames and back. The only place that knows Cap'n Proto; its exceptions end here.
//
// What is decoded came from a peer: lists are counted and texts measured before they are copied, an unknown
// message or enumerator is Errc::unsupported, all else that is wrong Errc::protocol. The same limits hold when
// encoding, so that we never send what the peer must refuse (Errc::invalid).
#pragma once

#include <string_view>

#include "wire/frame.h"
#include "wire/messages.h"

namespace zoneferry {

// The whole frame: header and payload.
Result<ByteVector> encode_frame(const Message& message);
// What comes before a segment's payload in its frame: the payload itself then need not be copied.
Result<ByteVector> encode_segment_head(const Segment& segment);
// frame.type is control or segment.
Result<Message> decode_frame(Frame frame);

// "CheckRequest", for log lines and errors.
std::string_view message_name(const Message& message);

}  // namespace zoneferry
