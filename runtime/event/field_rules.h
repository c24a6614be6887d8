#pragma once

// What single fields of an envelope must look like.

#include <string_view>

namespace cutover {

// 8-4-4-4-12 hex digits, either case.
bool is_uuid(std::string_view text) noexcept;

// `<domain>.<entity>_<verb>`: two tokens of [a-z0-9_], neither empty.
bool is_event_name(std::string_view text) noexcept;

// The event name, or the name and one routing token.
bool is_subject_of(std::string_view nats_subject, std::string_view event_name) noexcept;

// One of the four kinds of actor.
bool is_actor_type(std::string_view text) noexcept;

// Holds a byte below 0x20, or DEL.
bool has_control_character(std::string_view text) noexcept;

// A W3C `traceparent` of version 00 whose ids are not all zero.
bool is_traceparent(std::string_view text) noexcept;

}  // namespace cutover
