"""Learning a voice: from a person's passages to the control-vector file the engine loads.

The pipeline in file order (each module says at its top what goes in and what comes out):
select → insight → fabricate → read → align → refine → measure → export, held together by `pipeline`.
"""
