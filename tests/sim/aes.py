"""AES-256 in CBC mode, encryption only (FIPS 197): for keys with a pass
phrase. It is slow and not constant in time; its keys open nothing."""


def tables():
    """The S-box, from the multiplicative inverse in GF(2^8)."""
    box, p, q = [0x63] * 256, 1, 1
    while True:
        p = p ^ p << 1 & 255 ^ (0x1B if p & 128 else 0)
        q ^= q << 1
        q ^= q << 2
        q ^= q << 4
        q &= 255
        if q & 128:
            q ^= 9
        turned = q
        for shift in range(1, 5):
            turned ^= (q << shift | q >> 8 - shift) & 255
        box[p] = turned ^ 0x63
        if p == 1:
            return box


BOX = tables()


def double(byte):
    return byte << 1 & 255 ^ (0x1B if byte & 128 else 0)


def expand(key):
    """The round keys, 16 bytes each."""
    words = [list(key[i:i + 4]) for i in range(0, len(key), 4)]
    count, constant = len(words), 1
    for i in range(count, 4 * (count + 7)):
        word = words[-1]
        if i % count == 0:
            word = [BOX[byte] for byte in word[1:] + word[:1]]
            word[0] ^= constant
            constant = double(constant)
        elif count > 6 and i % count == 4:
            word = [BOX[byte] for byte in word]
        words.append([a ^ b for a, b in zip(words[i - count], word)])
    return [sum(words[i:i + 4], []) for i in range(0, len(words), 4)]


def mix(column):
    every = column[0] ^ column[1] ^ column[2] ^ column[3]
    return [column[i] ^ every ^ double(column[i] ^ column[(i + 1) % 4])
            for i in range(4)]


def encrypt_block(rounds, block):
    state = [a ^ b for a, b in zip(block, rounds[0])]
    for key in rounds[1:]:
        state = [BOX[state[(i + 4 * (i % 4)) % 16]] for i in range(16)]
        if key is not rounds[-1]:
            state = sum((mix(state[i:i + 4]) for i in range(0, 16, 4)), [])
        state = [a ^ b for a, b in zip(state, key)]
    return bytes(state)


def encrypt_cbc(key, iv, data):
    """With the padding of PKCS #7."""
    pad = 16 - len(data) % 16
    data += bytes((pad,)) * pad
    rounds, out, previous = expand(key), bytearray(), iv
    for i in range(0, len(data), 16):
        previous = encrypt_block(rounds, [
            a ^ b for a, b in zip(data[i:i + 16], previous)])
        out += previous
    return bytes(out)
