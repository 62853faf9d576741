#!/usr/bin/env python3
"""ratchet_oracle.py [--backend vodozemac|libolm]: a line-JSON service over a published ratchet library. One request object a
line on stdin, one reply a line on stdout, in order; the operations are those of fedchat-ratchet-peer. Binary values are unpadded
base64. vodozemac by its PyPI package, libolm by python-olm; file_* and keyfile_* need matrix-nio, ssss_* mautrix.

Written for this project (its licence); the libraries are only called."""
import base64, json, sys
BACK = sys.argv[sys.argv.index('--backend') + 1] if '--backend' in sys.argv else 'vodozemac'
ub = lambda s: base64.b64decode(s + '=' * (-len(s) % 4)); b = lambda x: base64.b64encode(bytes(x)).decode().rstrip('=')
A, S, G, I, X, P = {}, {}, {}, {}, {}, {}   # account, olm session, megolm outbound, megolm inbound, sas, pk

if BACK == 'vodozemac':
    import vodozemac as V
    K = V.Curve25519PublicKey.from_base64
    def msg(t, body):
        if t not in (0, 1): raise ValueError('type')
        return V.AnyOlmMessage.from_parts(t, ub(body))
    def account_new(r): A[r['a']] = V.Account(); return account_keys(r)
    def account_keys(r): a = A[r['a']]; return dict(curve25519=a.curve25519_key.to_base64(), ed25519=a.ed25519_key.to_base64(), max_one_time_keys=a.max_number_of_one_time_keys)
    def account_sign(r): return dict(signature=A[r['a']].sign(ub(r['message'])).to_base64())
    def account_generate_otk(r): A[r['a']].generate_one_time_keys(r['n']); return account_otk(r)
    def account_otk(r): return dict(one_time_keys={k: v.to_base64() for k, v in A[r['a']].one_time_keys.items()})
    def account_generate_fallback(r): A[r['a']].generate_fallback_key(); return account_fallback(r)
    def account_fallback(r): f = A[r['a']].fallback_key; return dict(fallback_key={k: v.to_base64() for k, v in (f or {}).items()})
    def account_publish(r): A[r['a']].mark_keys_as_published(); return {}
    def account_pickle(r): return dict(pickle=A[r['a']].pickle(ub(r['key'])))
    def account_unpickle(r): A[r['a']] = V.Account.from_pickle(r['pickle'], ub(r['key'])); return account_keys(r)
    def account_unpickle_libolm(r): A[r['a']] = V.Account.from_libolm_pickle(r['pickle'], ub(r['key'])); return account_keys(r)
    def session_outbound(r): S[r['s']] = s = A[r['a']].create_outbound_session(K(r['identity_key']), K(r['one_time_key'])); return dict(session_id=s.session_id)
    def session_inbound(r):
        s, p = A[r['a']].create_inbound_session(K(r['identity_key']), V.PreKeyMessage.from_base64(r['body'])); S[r['s']] = s; return dict(session_id=s.session_id, plaintext=b(p))
    def session_id(r): return dict(session_id=S[r['s']].session_id)
    def session_encrypt(r): t, c = S[r['s']].encrypt(ub(r['plaintext'])).to_parts(); return dict(type=t, body=b(c))
    def session_decrypt(r): return dict(plaintext=b(S[r['s']].decrypt(msg(r['type'], r['body']))))
    def session_matches(r): return dict(matches=S[r['s']].session_matches(V.PreKeyMessage.from_base64(r['body'])))
    def session_pickle(r): return dict(pickle=S[r['s']].pickle(ub(r['key'])))
    def session_unpickle(r): S[r['s']] = V.Session.from_pickle(r['pickle'], ub(r['key'])); return session_id(r)
    def session_unpickle_libolm(r): S[r['s']] = V.Session.from_libolm_pickle(r['pickle'], ub(r['key'])); return session_id(r)
    def group_new(r): G[r['g']] = V.GroupSession(); return group_info(r)
    def group_info(r): g = G[r['g']]; return dict(session_id=g.session_id, message_index=g.message_index, session_key=g.session_key.to_base64())
    def group_encrypt(r): g = G[r['g']]; n = g.message_index; return dict(ciphertext=g.encrypt(ub(r['plaintext'])).to_base64(), message_index=n)
    def group_pickle(r): return dict(pickle=G[r['g']].pickle(ub(r['key'])))
    def group_unpickle(r): G[r['g']] = V.GroupSession.from_pickle(r['pickle'], ub(r['key'])); return group_info(r)
    def ingroup_new(r): I[r['i']] = V.InboundGroupSession(V.SessionKey(r['session_key'])); return ingroup_info(r)
    def ingroup_import(r): I[r['i']] = V.InboundGroupSession.import_session(V.ExportedSessionKey(r['exported_key'])); return ingroup_info(r)
    def ingroup_info(r): i = I[r['i']]; return dict(session_id=i.session_id, first_known_index=i.first_known_index)
    def ingroup_decrypt(r): d = I[r['i']].decrypt(V.MegolmMessage.from_base64(r['ciphertext'])); return dict(plaintext=b(d.plaintext), message_index=d.message_index)
    def ingroup_export(r):
        e = I[r['i']].export_at(r['index'])
        if e is None: raise ValueError('index below the first known one')
        return dict(exported_key=e.to_base64())
    def ingroup_pickle(r): return dict(pickle=I[r['i']].pickle(ub(r['key'])))
    def ingroup_unpickle(r): I[r['i']] = V.InboundGroupSession.from_pickle(r['pickle'], ub(r['key'])); return ingroup_info(r)
    def ingroup_unpickle_libolm(r): I[r['i']] = V.InboundGroupSession.from_libolm_pickle(r['pickle'], ub(r['key'])); return ingroup_info(r)
    def sas_new(r): X[r['x']] = s = V.Sas(); return dict(public_key=s.public_key.to_base64())
    def sas_dh(r): X[r['x']] = X[r['x']].diffie_hellman(K(r['public_key'])); return {}
    def sas_code(r): y = X[r['x']].bytes(r['info']); return dict(emoji=list(y.emoji_indices), decimal=list(y.decimals))
    def sas_mac(r): return dict(mac=X[r['x']].calculate_mac(r['input'], r['info']))
    def sas_mac_v1(r): return dict(mac=X[r['x']].calculate_mac_invalid_base64(r['input'], r['info']))
    def pk_new(r): P[r['p']] = p = V.PkDecryption(); return dict(public_key=p.public_key.to_base64(), private_key=p.key.to_base64())
    def pk_import(r): P[r['p']] = p = V.PkDecryption.from_key(V.Curve25519SecretKey.from_base64(r['private_key'])); return dict(public_key=p.public_key.to_base64())
    def pk_encrypt(r): m = V.PkEncryption.from_key(K(r['public_key'])).encrypt(ub(r['plaintext'])); return dict(ciphertext=b(m.ciphertext), mac=b(m.mac), ephemeral=b(m.ephemeral_key))
    def pk_decrypt(r): return dict(plaintext=b(P[r['p']].decrypt(V.Message(ub(r['ciphertext']), ub(r['mac']), ub(r['ephemeral'])))))
    def ed25519_verify(r):
        try: V.Ed25519PublicKey.from_base64(r['public_key']).verify_signature(ub(r['message']), V.Ed25519Signature.from_base64(r['signature'])); return dict(valid=True)
        except Exception: return dict(valid=False)
else:
    import olm as O
    ks = lambda r: r['key']   # this binding takes a text passphrase
    def account_new(r): A[r['a']] = O.Account(); return account_keys(r)
    def account_keys(r): k = A[r['a']].identity_keys; return dict(curve25519=k['curve25519'], ed25519=k['ed25519'], max_one_time_keys=A[r['a']].max_one_time_keys)
    def account_sign(r): return dict(signature=A[r['a']].sign(ub(r['message'])))
    def account_generate_otk(r): A[r['a']].generate_one_time_keys(r['n']); return account_otk(r)
    def account_otk(r): return dict(one_time_keys=A[r['a']].one_time_keys['curve25519'])
    def account_publish(r): A[r['a']].mark_keys_as_published(); return {}
    def account_pickle(r): return dict(pickle=A[r['a']].pickle(ks(r)).decode())
    def account_unpickle(r): A[r['a']] = O.Account.from_pickle(r['pickle'].encode(), ks(r)); return account_keys(r)
    def session_outbound(r): S[r['s']] = s = O.OutboundSession(A[r['a']], r['identity_key'], r['one_time_key']); return dict(session_id=s.id)
    def session_inbound(r): m = O.OlmPreKeyMessage(r['body']); s = O.InboundSession(A[r['a']], m, r['identity_key']); p = s.decrypt(m, unicode_errors='surrogateescape'); A[r['a']].remove_one_time_keys(s); S[r['s']] = s; return dict(session_id=s.id, plaintext=b(p.encode('utf-8', 'surrogateescape')))
    def session_id(r): return dict(session_id=S[r['s']].id)
    def session_encrypt(r): m = S[r['s']].encrypt(ub(r['plaintext'])); return dict(type=m.message_type, body=m.ciphertext)
    def session_decrypt(r): m = (O.OlmPreKeyMessage if r['type'] == 0 else O.OlmMessage)(r['body']); return dict(plaintext=b(S[r['s']].decrypt(m, unicode_errors='surrogateescape').encode('utf-8', 'surrogateescape')))
    def session_matches(r): return dict(matches=S[r['s']].matches(O.OlmPreKeyMessage(r['body'])))
    def session_pickle(r): return dict(pickle=S[r['s']].pickle(ks(r)).decode())
    def session_unpickle(r): S[r['s']] = O.Session.from_pickle(r['pickle'].encode(), ks(r)); return session_id(r)
    def group_new(r): G[r['g']] = O.OutboundGroupSession(); return group_info(r)
    def group_info(r): g = G[r['g']]; return dict(session_id=g.id, message_index=g.message_index, session_key=g.session_key)
    def group_encrypt(r): g = G[r['g']]; n = g.message_index; return dict(ciphertext=g.encrypt(ub(r['plaintext'])), message_index=n)
    def group_pickle(r): return dict(pickle=G[r['g']].pickle(ks(r)).decode())
    def group_unpickle(r): G[r['g']] = O.OutboundGroupSession.from_pickle(r['pickle'].encode(), ks(r)); return group_info(r)
    def ingroup_new(r): I[r['i']] = O.InboundGroupSession(r['session_key']); return ingroup_info(r)
    def ingroup_import(r): I[r['i']] = O.InboundGroupSession.import_session(r['exported_key']); return ingroup_info(r)
    def ingroup_info(r): i = I[r['i']]; return dict(session_id=i.id, first_known_index=i.first_known_index)
    def ingroup_decrypt(r): p, n = I[r['i']].decrypt(r['ciphertext'], unicode_errors='surrogateescape'); return dict(plaintext=b(p.encode('utf-8', 'surrogateescape')), message_index=n)
    def ingroup_export(r): return dict(exported_key=I[r['i']].export_session(r['index']))
    def ingroup_pickle(r): return dict(pickle=I[r['i']].pickle(ks(r)).decode())
    def ingroup_unpickle(r): I[r['i']] = O.InboundGroupSession.from_pickle(r['pickle'].encode(), ks(r)); return ingroup_info(r)
    def sas_new(r): X[r['x']] = s = O.Sas(); return dict(public_key=s.pubkey)
    def sas_dh(r): X[r['x']].set_their_pubkey(r['public_key']); return {}
    def sas_code(r):
        y = X[r['x']].generate_bytes(r['info'], 6); n = int.from_bytes(y, 'big'); d = int.from_bytes(y[:5], 'big')
        return dict(emoji=[n >> (42 - 6 * k) & 63 for k in range(7)], decimal=[(d >> s & 0x1fff) + 1000 for s in (27, 14, 1)])
    def sas_mac(r): return dict(mac=X[r['x']].calculate_mac_fixed_base64(r['input'], r['info']))
    def sas_mac_v1(r): return dict(mac=X[r['x']].calculate_mac(r['input'], r['info']))
    def pk_new(r): P[r['p']] = p = O.PkDecryption(); return dict(public_key=p.public_key)
    def pk_encrypt(r): m = O.PkEncryption(r['public_key']).encrypt(ub(r['plaintext'])); return dict(ciphertext=m.ciphertext, mac=m.mac, ephemeral=m.ephemeral_key)
    def pk_decrypt(r): return dict(plaintext=b(P[r['p']].decrypt(O.PkMessage(r['ephemeral'], r['mac'], r['ciphertext']), unicode_errors='surrogateescape').encode('utf-8', 'surrogateescape')))
    def ed25519_verify(r):
        try: O.ed25519_verify(r['public_key'], ub(r['message']), r['signature']); return dict(valid=True)
        except O.OlmVerifyError: return dict(valid=False)

try:
    from nio.crypto.attachments import encrypt_attachment, decrypt_attachment
    from nio.crypto import key_export as KE
    import os, tempfile
    def file_encrypt(r): c, k = encrypt_attachment(ub(r['plaintext'])); return dict(ciphertext=b(c), info=k)
    def file_decrypt(r): k = r['info']; return dict(plaintext=b(decrypt_attachment(ub(r['ciphertext']), k['key']['k'], k['hashes']['sha256'], k['iv'])))
    def keyfile_export(r):
        with tempfile.TemporaryDirectory() as d: p = os.path.join(d, 'k'); KE.encrypt_and_save(ub(r['plaintext']), p, r['passphrase'], r.get('rounds', 100000)); return dict(file=open(p).read())
    def keyfile_import(r):
        with tempfile.TemporaryDirectory() as d: p = os.path.join(d, 'k'); open(p, 'w').write(r['file']); return dict(plaintext=b(KE.decrypt_and_read(p, r['passphrase'])))
except ImportError: pass
try:
    from mautrix.crypto.ssss.key import Key, EncryptedKeyData, KeyMetadata
    from mautrix.crypto.ssss.util import decode_base58_recovery_key, encode_base58_recovery_key
    def recovery_key_encode(r): return dict(recovery_key=encode_base58_recovery_key(ub(r['key'])))
    def recovery_key_decode(r):
        k = decode_base58_recovery_key(r['recovery_key'])
        if not k: raise ValueError('bad recovery key')
        return dict(key=b(k))
    _sk = lambda r: Key(id='k', key=ub(r['key']), metadata=None)
    def ssss_encrypt(r): return _sk(r).encrypt(r['name'], ub(r['plaintext'])).serialize()
    def ssss_decrypt(r): return dict(plaintext=b(_sk(r).decrypt(r['name'], EncryptedKeyData(ciphertext=r['ciphertext'], iv=r['iv'], mac=r['mac']))))
    def ssss_passphrase(r):
        from mautrix.crypto.ssss.key import PassphraseMetadata, PassphraseAlgorithm
        return dict(key=b(PassphraseMetadata(algorithm=PassphraseAlgorithm.PBKDF2, iterations=r['iterations'], salt=r['salt'], bits=256).get_key(r['passphrase'])))
except ImportError: pass

def drop(r):
    for T, k in ((A, 'a'), (S, 's'), (G, 'g'), (I, 'i'), (X, 'x'), (P, 'p')):
        if k in r: T.pop(r[k], None)
    return {}
OPS = {k: v for k, v in list(globals().items()) if callable(v) and k.split('_')[0] in ('account', 'session', 'group', 'ingroup', 'sas', 'pk', 'ed25519', 'file', 'keyfile', 'ssss', 'recovery', 'drop')}
def hello(r): return dict(backend=BACK, protocol=1, ops=sorted(OPS))
OPS['hello'] = hello
if __name__ == '__main__':
    for line in sys.stdin:
        line = line.strip()
        if not line: continue
        rid = None
        try:
            r = json.loads(line); rid = r.get('id'); f = OPS.get(r['op'])
            out = dict(ok=False, error='unsupported', kind='unsupported') if f is None else dict(f(r), ok=True)
        except BaseException as e:
            if isinstance(e, KeyboardInterrupt): break
            out = dict(ok=False, error=f'{e}'[:200], kind=type(e).__name__)
        if rid is not None: out['id'] = rid
        sys.stdout.write(json.dumps(out) + '\n'); sys.stdout.flush()
