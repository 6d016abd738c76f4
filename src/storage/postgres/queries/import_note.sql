-- Nothing is written where the step there is not the one that was seen.
INSERT INTO imports (source, run, step, chunk, account, witness_id, witness) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (source) DO UPDATE
SET
    run = excluded.run,
    step = excluded.step,
    chunk = excluded.chunk,
    account = excluded.account,
    witness_id = coalesce(imports.witness_id, excluded.witness_id),
    witness = coalesce(imports.witness, excluded.witness),
    updated_at = excluded.updated_at
WHERE imports.step = $8::BIGINT
