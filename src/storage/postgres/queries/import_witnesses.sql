SELECT witness_id, witness FROM imports WHERE witness IS NOT NULL
