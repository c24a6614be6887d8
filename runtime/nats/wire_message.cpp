#include "runtime/nats/wire_message.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "runtime/nats/header_block.h"

namespace cutover {
namespace {

// Rebuilds the block from what the library parsed. Loses order, and the line after an empty value.
std::string_view rebuilt_block(natsMsg* message) {
  thread_local std::string block;
  const char** names = nullptr;
  int name_count = 0;
  if (natsMsgHeader_Keys(message, &names, &name_count) != NATS_OK) return {};
  block = "NATS/1.0\r\n";
  for (int i = 0; i < name_count; ++i) {
    const char** values = nullptr;
    int value_count = 0;
    if (natsMsgHeader_Values(message, names[i], &values, &value_count) != NATS_OK) continue;
    for (int j = 0; j < value_count; ++j)
      block.append(names[i]).append(": ").append(values[j]).append("\r\n");
    free(values);
  }
  free(names);
  block += "\r\n";
  return block;
}

// The library parses the block of a message without payload while it looks for the status "no responders",
// and puts zeros into it: for the colon behind a name, and for the first character behind a status or a
// value. A line always keeps its line feed.
std::string_view restored_block(std::string_view parsed) {
  thread_local std::string block;
  block = parsed;
  bool first_line = true;
  for (std::size_t from = 0; from < block.size(); first_line = false) {
    std::size_t end = std::min(block.find('\n', from), block.size());
    if (end > from && block[end - 1] == '\0') block[end - 1] = '\r';
    std::size_t colon = block.find(':', from);
    for (std::size_t at = block.find('\0', from); at < end; at = block.find('\0', at + 1)) {
      block[at] = first_line || colon < at ? ' ' : ':';
      colon = std::min(colon, at);
    }
    from = end + 1;
  }
  return block;
}

}  // namespace

std::string_view header_block(natsMsg* message) {
  // The library keeps one message in one piece of memory: subject, reply and header block, each closed by a
  // zero, then the payload. The block has no accessor, so it is found between its neighbours, and believed
  // only when it looks right.
  const char* before = natsMsg_GetReply(message);
  if (!before || !*before) before = natsMsg_GetSubject(message);
  before += std::strlen(before) + 1;
  const char* data = natsMsg_GetData(message);
  if (data == before) return {};
  constexpr std::size_t kSmallest = sizeof("NATS/1.0\r\n\r\n"), kLargest = 64 << 20;
  auto size = static_cast<std::size_t>(reinterpret_cast<std::uintptr_t>(data) -
                                       reinterpret_cast<std::uintptr_t>(before));
  if (size < kSmallest || size > kLargest) return rebuilt_block(message);
  std::string_view block(before, size - 1);
  if (!block.starts_with("NATS/1.0") || !block.ends_with("\n\r\n") || before[size - 1] != '\0')
    return rebuilt_block(message);
  return block.find('\0') == std::string_view::npos ? block : restored_block(block);
}

Message copy_message(natsMsg* message) {
  std::string_view subject = natsMsg_GetSubject(message);
  const char* reply_text = natsMsg_GetReply(message);
  std::string_view reply = reply_text ? reply_text : "";
  std::string_view headers = header_block(message);
  std::string_view data(natsMsg_GetData(message), static_cast<std::size_t>(natsMsg_GetDataLength(message)));

  Message copy;
  copy.memory = std::make_unique_for_overwrite<char[]>(subject.size() + reply.size() + headers.size() +
                                                       data.size() + kPayloadPadding);
  char* at = copy.memory.get();
  auto place = [&](std::string_view text) {
    if (!text.empty()) std::memcpy(at, text.data(), text.size());
    std::string_view placed(at, text.size());
    at += text.size();
    return placed;
  };
  copy.subject = place(subject);
  copy.reply = place(reply);
  copy.headers = parse_headers(place(headers));
  copy.data = place(data);
  std::memset(at, 0, kPayloadPadding);
  return copy;
}

}  // namespace cutover
