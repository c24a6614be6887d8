#include "runtime/nats/nkey.h"

#include <openssl/evp.h>

#include <array>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <vector>

namespace cutover {
namespace {

constexpr std::string_view kBase32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
constexpr std::size_t kKeyBytes = 32;

std::vector<std::uint8_t> decode_base32(std::string_view text) {
  std::vector<std::uint8_t> bytes;
  std::uint32_t bits = 0;
  int count = 0;
  for (char c : text) {
    std::size_t value = kBase32.find(c);
    if (value == std::string_view::npos)
      throw std::invalid_argument("not an nkey seed: a character outside A-Z and 2-7");
    bits = (bits << 5) | static_cast<std::uint32_t>(value);
    count += 5;
    if (count >= 8) bytes.push_back(static_cast<std::uint8_t>(bits >> (count -= 8)));
  }
  return bytes;
}

std::string encode_base32(const std::vector<std::uint8_t>& bytes) {
  std::string text;
  std::uint32_t bits = 0;
  int count = 0;
  for (std::uint8_t byte : bytes) {
    bits = (bits << 8) | byte;
    for (count += 8; count >= 5; count -= 5) text += kBase32[(bits >> (count - 5)) & 31];
  }
  if (count > 0) text += kBase32[(bits << (5 - count)) & 31];
  return text;
}

std::uint16_t crc16(const std::uint8_t* bytes, std::size_t size) {  // CCITT, as nkeys use it
  std::uint16_t crc = 0;
  for (std::size_t i = 0; i < size; ++i) {
    crc = static_cast<std::uint16_t>(crc ^ (bytes[i] << 8));
    for (int bit = 0; bit < 8; ++bit)
      crc = static_cast<std::uint16_t>(crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1);
  }
  return crc;
}

std::array<std::uint8_t, kKeyBytes> ed25519_public(const std::uint8_t* seed) {
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed, kKeyBytes), &EVP_PKEY_free);
  std::array<std::uint8_t, kKeyBytes> raw{};
  std::size_t size = raw.size();
  if (!key || EVP_PKEY_get_raw_public_key(key.get(), raw.data(), &size) != 1)
    throw std::invalid_argument("cannot derive the public key: this OpenSSL has no Ed25519");
  return raw;
}

}  // namespace

std::string nkey_public(std::string_view seed) {
  constexpr std::string_view kSpace = " \t\r\n";
  std::size_t from = seed.find_first_not_of(kSpace);
  if (from == std::string_view::npos) throw std::invalid_argument("not an nkey seed: empty");
  seed = seed.substr(from, seed.find_last_not_of(kSpace) - from + 1);

  // Two bytes of kind, the seed, two of checksum (low byte first).
  std::vector<std::uint8_t> raw = decode_base32(seed);
  if (raw.size() != 2 + kKeyBytes + 2 || (raw[0] & 0xF8) != (18 << 3))
    throw std::invalid_argument("not an nkey seed: it must start with S and be 58 characters long");
  if (crc16(raw.data(), raw.size() - 2) != (raw[34] | raw[35] << 8))
    throw std::invalid_argument("not an nkey seed: its checksum is wrong");

  std::vector<std::uint8_t> key{static_cast<std::uint8_t>((raw[0] & 7) << 5 | raw[1] >> 3)};
  auto public_key = ed25519_public(raw.data() + 2);
  key.insert(key.end(), public_key.begin(), public_key.end());
  std::uint16_t crc = crc16(key.data(), key.size());
  key.push_back(static_cast<std::uint8_t>(crc));
  key.push_back(static_cast<std::uint8_t>(crc >> 8));
  return encode_base32(key);
}

}  // namespace cutover
